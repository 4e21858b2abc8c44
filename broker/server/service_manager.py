"""The message to the service manager that started the process, such as systemd: sd_notify(3)."""

import socket
from contextlib import suppress


def notify_ready(address: str) -> None:
    """Send ``READY=1`` to the socket that ``NOTIFY_SOCKET`` names; do nothing if the ``address`` is empty.

    A manager that waits for the message reports its absence itself: an error here does not stop the service.
    """
    if not address:
        return
    path = f"\0{address[1:]}" if address.startswith("@") else address  # abstract sockets of Linux: unix(7)
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)  # the queue of a manager that does not read may be full
        sender.sendto(b"READY=1", path)
