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


def test_garbage_collection_is_enabled_after_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collection is off during the start, on once the start is finished, and on after a command that fails."""
    monkeypatch.setattr(startup, "_handle_signals", lambda: None)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    states = []

    def command() -> None:
        with startup.command_process():
            states.append(gc.isenabled())
            startup.finish_start()
            states.append(gc.isenabled())
            gc.unfreeze()
            gc.disable()
            raise ValueError("fails")

    with pytest.raises(ValueError, match="fails"):
        command()
    assert [*states, gc.isenabled()] == [False, True, True]
