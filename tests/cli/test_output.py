"""Standard output of every command: closed, full, absent, or in an encoding with few characters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.cli import main, output
from broker.server.exits import Exit
from tests.e2e.processes import inherited
from tests.patience import PATIENCE

SECRET = "a secret of the command's tests, long enough"


def broker(redirect: str, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with its output redirected by the shell."""
    line = ["sh", "-c", f'"$0" -m broker "$@" {redirect}', sys.executable, *words]
    environment = {**inherited(), "JWT_SECRET": SECRET}
    return subprocess.run(
        line, env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize("words", [["token"], ["--version"]], ids=str)
def test_full_disk(words: list[str], tmp_path: Path) -> None:
    """An output that cannot be written ends with one line and status 2, never with a traceback."""
    done = broker("> /dev/full", tmp_path, *words)
    text = "broker: the output cannot be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (Exit.WRONG_CALL, text)


def test_absent_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for an output that was closed from the start is an error, before anything else is done."""
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(output.OutputError, match="it is closed"):
        output.write_line("text")
    output.flush()


class Closed:
    """An output whose reader has ended."""

    encoding = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def write(self, _text: str) -> int:
        """Fail as a write to a pipe without a reader."""
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        """Fail likewise."""
        self.write("")


def test_reader_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe without a reader ends a command with one line and status 2, and later output goes nowhere."""
    closed = Closed(os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY))
    monkeypatch.setattr("os.environ", {"JWT_SECRET": SECRET})
    monkeypatch.setattr("sys.stdout", closed)
    assert main.main(["token"]) == Exit.WRONG_CALL
    assert os.path.samestat(os.fstat(closed.fileno()), Path(os.devnull).stat())
    with pytest.raises(output.OutputError):
        output.write_line("text")
    assert capsys.readouterr().err == "broker: the output cannot be written: Broken pipe.\n"


def test_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without standard output has nothing to flush."""
    monkeypatch.setattr("sys.stdout", None)
    output.flush()


def test_characters_that_the_encoding_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """A character that the output's encoding does not have becomes a question mark."""
    output.write_line("a \ud800 key")
    assert capsys.readouterr().out == "a ? key\n"
