"""The broker's process as the tests start it: none stays behind."""

import signal
from pathlib import Path

import pytest

from tests.patience import until
from tests.store.test_seaweedfs import runs

from . import processes
from .processes import Broker


def test_one_that_never_answers_is_ended_with_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the test that fails by it nor those after it share the machine with what it left."""
    monkeypatch.setattr(processes, "PATIENCE", 3)
    mute = Broker(tmp_path, {}, command=("sh", "-c", "sleep 600 & echo $!; wait"))
    with pytest.raises(AssertionError), mute:
        pass
    assert mute.process.returncode == -signal.SIGKILL
    until(lambda: not runs(int(mute.written())))
