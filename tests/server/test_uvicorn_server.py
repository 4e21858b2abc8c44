"""The server of a process: what it reports of failures, and how a worker ends."""

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
    """The handlers of these tests' own process, as they were."""
    before = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, *IGNORED_SIGNALS)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def failing(error: BaseException) -> Callable[[], NoReturn]:
    """An application that cannot be made."""

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
def test_the_reason_is_one_line(
    signals: None, capsys: pytest.CaptureFixture[str], error: Exception, reason: str
) -> None:
    """An application that cannot be made is one line, with the words of no exception that may hold a secret."""
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        assert Server(failing(error), lambda: None).serve_until_stopped([listener]) == Exit.CANNOT_SERVE
    assert capsys.readouterr().err == f"broker: cannot serve: {reason}.\n"


async def failed(_scope: Any, _receive: Any, _send: Any) -> NoReturn:
    """An application that does not start."""
    raise ValueError


def test_an_application_that_does_not_start(signals: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Its end is not the end of the process with uvicorn's exit status, which has another meaning here."""
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        assert Server(lambda: failed, lambda: None).serve_until_stopped([listener]) == Exit.CANNOT_SERVE
    assert "the application did not start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "is_ours"),
    [(OSError(24, "Too many open files"), True), (OSError(24, "Too many open files"), False), (None, False)],
)
async def test_only_accepting_is_reported_as_such(
    signals: None, caplog: pytest.LogCaptureFixture, error: Exception | None, is_ours: bool
) -> None:
    """Other failures of the event loop are reported as the event loop does."""
    server = Server(failing(AssertionError()), lambda: None)
    words = "socket.accept() out of system resource" if is_ours else "something else"
    with caplog.at_level(logging.WARNING):
        server._on_loop_error(asyncio.get_running_loop(), {"message": words, "exception": error})
        server._on_loop_error(asyncio.get_running_loop(), {"message": words, "exception": error})
    lines = [record.getMessage() for record in caplog.records]
    if is_ours:
        (line,) = lines
        assert json.loads(line)["event"] == "broker.accept_failed"
    else:
        assert len(lines) == 2
        assert all(words in line for line in lines)


def test_a_worker_ends_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the other process to end, and then ends without waiting for anything."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    other = get_context("spawn").Process(target=sys.exit)
    other.start()
    worker._exit_when_ended(other)
    other.join(PATIENCE)
    assert ended == [1]


@pytest.mark.parametrize("installed", ["0.53.9", "0.55.0", "1.0"])
def test_another_uvicorn_is_refused(installed: str) -> None:
    """The line names the version that is needed, the installed one, and the command that installs it."""
    with pytest.raises(StartError, match=re.escape(f"uvicorn {UVICORN_VERSION} is needed, and {installed} is")):
        check_uvicorn_version(installed)


def test_the_installed_uvicorn_is_accepted() -> None:
    """The bounds of the dependency and the version whose internals are used are the same."""
    check_uvicorn_version()
    bounds = next(each for each in requires("r2-upload-broker") or [] if each.startswith("uvicorn"))
    assert sorted(bounds.removeprefix("uvicorn").split(",")) == ["<0.55", ">=0.54"]
    assert UVICORN_VERSION == "0.54"
