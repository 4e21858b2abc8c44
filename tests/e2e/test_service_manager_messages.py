"""``broker serve`` under a service manager that waits for its message."""

import socket
from pathlib import Path

import pytest

from tests.patience import PATIENCE

from .processes import Broker
from .test_process import NOWHERE, restarted, serving_workers


@pytest.mark.parametrize("count", [1, 2])
async def test_ready_is_sent_once(tmp_path: Path, count: int) -> None:
    """The manager receives one message when the service accepts requests, and none when workers are replaced."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        environment = {**NOWHERE, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with Broker(tmp_path, environment, "--workers", str(count)) as broker:
            assert manager.recv(64) == b"READY=1"
            if count > 1:
                await restarted(broker, await serving_workers(broker))
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(64)


def test_failed_start_sends_nothing(tmp_path: Path) -> None:
    """A service that cannot serve sends no message: its manager reports a failed start."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        environment = {**NOWHERE, "NOTIFY_SOCKET": str(tmp_path / "notify"), "BROKER_KEEP_ALIVE": "never"}
        with pytest.raises(AssertionError, match="BROKER_KEEP_ALIVE"), Broker(tmp_path, environment):
            pass
        with pytest.raises(BlockingIOError):
            manager.recv(64)
