"""The start of the process of a command."""

import os
import signal

import pytest

from broker.cli import entry


def test_stop_before_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop before anything serves ends the process at once: an exception could be ignored by the interrupted code."""
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    entry._stop(signal.SIGTERM, None)
    assert ends == [0]
