"""The first moments of the process of a command."""

import os
import signal

import pytest

from broker.cli import entry


def test_a_stop_before_anything_serves_cannot_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises nothing, for the code that is interrupted may ignore what is raised in it."""
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    entry._stop(signal.SIGTERM, None)
    assert ends == [0]
