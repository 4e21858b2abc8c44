"""The message to the service manager, received by a real socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.server.service_manager import notify_ready


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Return the value of ``NOTIFY_SOCKET``, and the socket that it names."""
    name = str(tmp_path / "notify") if request.param == "a path" else f"\0{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        receiver.setblocking(False)
        yield name.replace("\0", "@"), receiver


def test_ready_is_sent(manager: tuple[str, socket.socket]) -> None:
    """The manager receives one message that the service is ready."""
    address, receiver = manager
    notify_ready(address)
    assert receiver.recv(64) == b"READY=1"
    with pytest.raises(BlockingIOError):
        receiver.recv(64)


def test_full_queue_is_ignored(manager: tuple[str, socket.socket]) -> None:
    """A manager that does not read its messages does not stop the start."""
    address, receiver = manager
    for _ in range(2000):
        notify_ready(address)
    assert receiver.recv(64) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens", "x" * 200])
def test_absent_manager_is_ignored(address: str) -> None:
    """Without a manager, or with one that does not listen, the service continues."""
    notify_ready(address)
