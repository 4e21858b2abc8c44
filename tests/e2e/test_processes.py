"""The broker's process as tests start it: no process is left behind."""

import signal
from pathlib import Path

import pytest

from tests.patience import until
from tests.store.test_seaweedfs import runs

from . import processes
from .processes import Broker


def test_silent_broker_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that never responds is killed together with its child processes."""
    monkeypatch.setattr(processes, "PATIENCE", 3)
    mute = Broker(tmp_path, {}, command=("sh", "-c", "sleep 600 & echo $!; wait"))
    with pytest.raises(AssertionError), mute:
        pass
    assert mute.process.returncode == -signal.SIGKILL
    until(lambda: not runs(int(mute.written())))
