"""Files, folders and ports that stop the start: one line with the name and the remedy, exit status 2 or 3."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from broker.cli import main
from broker.server.exits import Exit
from tests.e2e.processes import BROKER, JWT_SECRET, inherited
from tests.patience import PATIENCE

UNPRIVILEGED = """
import os, sys
from broker.cli import demo, main
"".encode("idna")  # the other user may not be able to read Python's library
if os.getuid() == 0:
    os.setuid(65534)
sys.exit(main.main())
"""
"""The command as a user without privileges, after all imports."""

NO_FILE = """
import resource, sys
from broker.cli import demo, main
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
sys.exit(main.main())
"""
"""The command in a process that cannot write any file, so that every temporary folder is unusable."""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Create a folder that every user can enter; those of pytest are closed to other users."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def refused(
    folder: Path,
    *words: str,
    command: Sequence[str] = BROKER,
    counted: bool = True,
    status: Exit = Exit.WRONG_CALL,
) -> str:
    """Run the command, which must not start; return its one line on standard error."""
    environment = inherited() if counted else {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    environment["JWT_SECRET"] = JWT_SECRET
    environment["TMPDIR"] = str(folder / "missing")
    done = subprocess.run(
        [*command, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == status, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("broker: ")
    assert line.endswith(".")
    return line


@pytest.mark.parametrize("words", [(), ("--env-file", ".env")])
def test_env_folder(tmp_path: Path, words: Sequence[str]) -> None:
    """A folder named .env stops the start."""
    (tmp_path / ".env").mkdir()
    assert ".env cannot be read: Is a directory. Make it a readable file" in refused(tmp_path, "serve", *words)


def test_env_dangling(tmp_path: Path) -> None:
    """A .env that is a dangling symbolic link stops the start."""
    (tmp_path / ".env").symlink_to(tmp_path / "nowhere")
    assert ".env cannot be read: No such file" in refused(tmp_path, "serve")


def test_env_encoding(tmp_path: Path) -> None:
    """A .env that is not UTF-8 stops the start."""
    (tmp_path / ".env").write_bytes("JWT_ISSUER=\u00fc".encode("latin-1"))
    assert ".env is not a file of NAME=value lines in UTF-8." in refused(tmp_path, "serve")


def test_env_forbidden(reachable: Path) -> None:
    """A .env that the user cannot read stops the start."""
    (reachable / ".env").touch()
    (reachable / ".env").chmod(0)
    command = (sys.executable, "-c", UNPRIVILEGED)
    assert ".env cannot be read: Permission denied." in refused(reachable, "serve", command=command, counted=False)


def test_env_missing(tmp_path: Path) -> None:
    """A file of settings that --env-file names must exist."""
    assert "--env-file nowhere cannot be read: No such file" in refused(tmp_path, "serve", "--env-file", "nowhere")


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_working_directory_deleted(tmp_path: Path, command: str) -> None:
    """A deleted working directory stops the start."""
    shell = ("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh", *BROKER)
    assert "the working directory cannot be used: No such" in refused(tmp_path, command, command=shell)


def test_working_directory_vanishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deleted working directory stops the start too if a Python program calls the command."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert main.main(["serve"]) == Exit.WRONG_CALL
    monkeypatch.undo()
    assert "the working directory cannot be used: No such" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/data"])
def test_demo_data_unusable(tmp_path: Path, folder: str) -> None:
    """A data folder that cannot be created stops the demo."""
    (tmp_path / "file").touch()
    line = refused(tmp_path, "demo", "--port", "0", "--data", folder)
    assert f"{folder} cannot hold the data: " in line
    assert "--data" in line


def test_demo_data_forbidden(reachable: Path) -> None:
    """A data folder that the user cannot write stops the demo."""
    folder = reachable / "data"
    folder.mkdir(mode=0o555)
    command = (sys.executable, "-c", UNPRIVILEGED)
    words = ("demo", "--port", "0", "--data", str(folder))
    assert f"{folder} cannot hold the data: " in refused(reachable, *words, command=command, counted=False)


def test_demo_without_temporary_folder(tmp_path: Path) -> None:
    """Without a usable temporary folder, the demo names TMPDIR and --data as the remedies."""
    line = refused(tmp_path, "demo", "--port", "0", command=(sys.executable, "-c", NO_FILE), counted=False)
    assert "there is no usable temporary folder: " in line
    assert "Set TMPDIR" in line


def test_demo_temporary_folder_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A temporary folder that does not exist stops the demo."""
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    assert main.main(["demo", "--port", "0"]) == Exit.WRONG_CALL
    assert "there is no usable temporary folder: " in capsys.readouterr().err


def test_port_forbidden(reachable: Path) -> None:
    """A privileged port stops the start, and the message names the ports to use."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii")) <= 80:
        pytest.skip("every user may listen on port 80 here")
    command = (sys.executable, "-c", UNPRIVILEGED)
    for words in (("serve",), ("serve", "--workers", "2"), ("demo",)):
        line = refused(reachable, *words, "--port", "80", command=command, counted=False, status=Exit.CANNOT_LISTEN)
        assert "cannot listen on 127.0.0.1:80: permission denied. Choose a --port above 1023." in line
