"""``python -m tests.image``: build the image, let it do its job as another user, and print its figures."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx2

from tests.e2e.processes import JWT_SECRET, token
from tests.e2e.steps import digest, mp3, ready, served
from tests.e2e.stores import settings_of, store_with_bucket
from tests.patience import PATIENCE, until
from tests.plain_http import NO_TLS

from .building import build, make_base, sizes
from .containers import OWN_PORT, Container, running
from .programs import BUILD, check

STARTS: Final = 5
IMAGE_MAX: Final = 130_000_000
"""Bytes that an image may have on a disk."""

SHELLS: Final = ("sh", "bash", "dash", "busybox", "apt-get", "dpkg", "pip")
WORKERS: Final = ("broker", "serve", "--host", "0.0.0.0", "--port", OWN_PORT, "--workers", "2")


def main_job(container: Container) -> None:
    """Create, upload, confirm and download a file through the broker in the container."""
    headers = {"Authorization": f"Bearer {token()}"}
    url = f"http://127.0.0.1:{container.port}/api/v1"
    with httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS) as client:
        track = ready(client, mp3())
        assert digest(served(client, track["key"])) == digest(mp3())


def check_contents(container: Container) -> None:
    """Check that the image has no shell, no package manager, and nothing that any user may write except /tmp."""
    programs = [path for path in container.root.rglob("*") if path.name in SHELLS]
    assert not programs, programs
    open_ones = [path for path in container.root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o002]
    assert open_ones == [container.root / "tmp"], open_ones


def measure(environment: dict[str, str], log: Path) -> list[float]:
    """Run the image several times, once with two workers; return the seconds of the other starts."""
    starts = []
    for command in (*[()] * STARTS, WORKERS):
        with running(command, environment, log) as container:
            took = container.start()
            assert container.is_healthy()
            main_job(container)
            check_contents(container)
            assert container.stop() == 0, log.read_text(encoding="utf-8")
        if not command:
            starts.append(took)
    return starts


def command_output(environment: dict[str, str], log: Path, *command: str) -> str:
    """Return the output of another command of the image."""
    with running(command, environment, log) as container:
        until(lambda: container.process.poll() is not None)
    return log.read_text(encoding="utf-8").strip()


def run() -> None:
    """Build, check and measure."""
    check()
    BUILD.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    make_base()
    made = time.monotonic()
    build()
    print(f"base {made - began:.0f} s, image {time.monotonic() - made:.0f} s", flush=True)
    on_disk, pulled = sizes()
    print(f"size {on_disk / 1e6:.1f} MB, {pulled / 1e6:.1f} MB to pull", flush=True)
    assert on_disk <= IMAGE_MAX
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "broker.log")
        with store_with_bucket(Path(folder, "store"), "AKIMAGE", "a secret access key of the tests", "songs") as store:
            environment = {**settings_of(store, "songs"), "JWT_SECRET": JWT_SECRET}
            starts = measure(environment, log)
            assert command_output(environment, log, "broker", "token").count(".") == 2
    print(f"starts in {statistics.median(starts) * 1000:.0f} ms (median of {STARTS})")
    print("The main job passed: read-only root, user 12345, no capabilities, one worker and two.")


if __name__ == "__main__":
    run()
