"""The server of a process: the report of a failure, and the end of a worker."""

import asyncio
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import requires
from multiprocessing import get_context
from typing import Any, NoReturn

import pytest

from broker.server import worker
from broker.server.exits import Exit, StartError
from broker.server.listeners import listen
from broker.server.uvicorn_server import (
    IGNORED_SIGNALS,
    STOP_SIGNALS,
    UVICORN_VERSION,
    Server,
    check_uvicorn_version,
)
from broker.settings import SettingsError
from tests.patience import PATIENCE


@pytest.fixture
def signals() -> Iterator[None]:
    """Restore the signal handlers of the tests' process."""
    before = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, *IGNORED_SIGNALS)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def failing(error: BaseException) -> Callable[[], NoReturn]:
    """Return a function that raises ``error`` instead of returning an application."""

    def build() -> NoReturn:
        raise error

    return build


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SettingsError(["A must be b", "C must be d"]), "A must be b; C must be d"),
        (OSError(24, "Too many open files"), "[Errno 24] Too many open files"),
        (ImportError("No module named 'x'"), "No module named 'x'"),
        (TypeError("a secret"), "the application did not start; the log has the cause"),
        (ValueError("a secret"), "unexpected ValueError"),
    ],
)
def test_reason_is_one_line(signals: None, capsys: pytest.CaptureFixture[str], error: Exception, reason: str) -> None:
    """A failed start prints one line, without the text of an exception that may hold a secret."""
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        assert Server(failing(error), lambda: None).serve_until_stopped([listener]) == Exit.CANNOT_SERVE
    assert capsys.readouterr().err == f"broker: cannot serve: {reason}.\n"


async def failing_app(_scope: Any, _receive: Any, _send: Any) -> NoReturn:
    """Fail to start."""
    raise ValueError


def test_failed_startup_has_own_status(signals: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed start of the application gives the exit status of the broker, not uvicorn's."""
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        assert Server(lambda: failing_app, lambda: None).serve_until_stopped([listener]) == Exit.CANNOT_SERVE
    assert "the application did not start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "is_accept"),
    [(OSError(24, "Too many open files"), True), (OSError(24, "Too many open files"), False), (None, False)],
)
async def test_failed_accept_is_logged_once(
    signals: None, caplog: pytest.LogCaptureFixture, error: Exception | None, is_accept: bool
) -> None:
    """A failed accept is logged once as an event of the broker, and other errors as the event loop logs them."""
    server = Server(failing(AssertionError()), lambda: None)
    message = "socket.accept() out of system resource" if is_accept else "something else"
    with caplog.at_level(logging.WARNING):
        server._on_loop_error(asyncio.get_running_loop(), {"message": message, "exception": error})
        server._on_loop_error(asyncio.get_running_loop(), {"message": message, "exception": error})
    lines = [record.getMessage() for record in caplog.records]
    if is_accept:
        (line,) = lines
        assert json.loads(line)["event"] == "broker.accept_failed"
    else:
        assert len(lines) == 2
        assert all(message in line for line in lines)


def test_worker_ends_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker waits for the end of its parent, and then ends at once."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    other = get_context("spawn").Process(target=sys.exit)
    other.start()
    worker._exit_when_ended(other)
    other.join(PATIENCE)
    assert ended == [1]


@pytest.mark.parametrize("installed", ["0.53.9", "0.55.0", "1.0"])
def test_other_uvicorn_version_is_refused(installed: str) -> None:
    """The error names the needed version, the installed one, and the command that installs the needed one."""
    with pytest.raises(StartError, match=re.escape(f"uvicorn {UVICORN_VERSION} is needed, and {installed} is")):
        check_uvicorn_version(installed)


def test_installed_uvicorn_is_accepted() -> None:
    """The version in the code and the bounds of the dependency are the same."""
    check_uvicorn_version()
    bounds = next(each for each in requires("r2-upload-broker") or [] if each.startswith("uvicorn"))
    assert sorted(bounds.removeprefix("uvicorn").split(",")) == ["<0.55", ">=0.54"]
    assert UVICORN_VERSION == "0.54"
