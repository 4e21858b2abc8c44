"""The start and the end of a command's process."""

import gc
import logging
import os
import signal

import pytest

from broker.server import startup


def test_early_stop_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal before the service runs ends the process at once, without an exception that could be ignored."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    startup._stop(signal.SIGTERM, None)
    assert statuses == [0]


def test_early_interruption_is_not_success(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A signal before any other command has begun ends it with a status that is not 0, and one line."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    startup._interrupt(signal.SIGINT, None)
    assert (statuses, capfd.readouterr().err) == ([8], "broker: interrupted before anything was done\n")


@pytest.mark.parametrize(("is_service", "expected"), [(True, startup._stop), (False, startup._interrupt)])
def test_signals_before_the_command(is_service: bool, expected: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a service has stopped on request when a signal comes before it has begun."""
    handlers: list[object] = []
    monkeypatch.setattr(startup, "_handle_signals", handlers.append)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    with startup.command_process(is_service=is_service):
        pass
    assert handlers == [expected]


def test_garbage_collection_is_enabled_after_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collection is off during the start, on once the start is finished, and on after a command that fails."""
    monkeypatch.setattr(startup, "_handle_signals", lambda _: None)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    states = []

    def command() -> None:
        with startup.command_process(is_service=True):
            states.append(gc.isenabled())
            startup.finish_start()
            states.append(gc.isenabled())
            gc.unfreeze()
            gc.disable()
            raise ValueError("fails")

    with pytest.raises(ValueError, match="fails"):
        command()
    assert [*states, gc.isenabled()] == [False, True, True]
