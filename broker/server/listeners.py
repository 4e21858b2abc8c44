"""The listening sockets of the service, which are opened before any worker starts."""

import errno
import os
import socket
from contextlib import ExitStack
from typing import Final

from .exits import Exit, StartError

BACKLOG: Final = 2048
"""Connections that the kernel queues until a worker accepts them; uvicorn's default."""

_REMEDIES: Final = {
    errno.EADDRINUSE: "Stop the process that uses the port, or choose another --port.",
    errno.EACCES: "Choose a --port above 1023.",
}
_ABSENT_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def listen(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for every address of ``host``; raise ``StartError``.

    An address that this machine does not have is skipped if the host has others: ``localhost`` often has an IPv6
    address on machines without IPv6. With port 0, all sockets listen on the same free port.
    """
    try:
        with ExitStack() as opened:
            listeners = _open_listeners(host, port, opened)
            opened.pop_all()
            return listeners
    except OSError as error:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "Choose another --host.")
        text = f"cannot listen on {address}: {reason[:1].lower()}{reason[1:]}. {remedy}"
        raise StartError(text, Exit.CANNOT_LISTEN) from None


def _open_listeners(host: str, port: int, opened: ExitStack) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    absent: list[OSError] = []
    addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in addresses:
        try:
            listeners.append(opened.enter_context(_open_listener(family, (address[0], port, *address[2:]))))
        except OSError as error:
            if error.errno not in _ABSENT_ADDRESS:
                raise
            absent.append(error)
        else:
            port = listeners[0].getsockname()[1]
    if not listeners:
        raise absent[0]
    return listeners


def _open_listener(family: int, address: tuple[str | int, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        may_reuse = os.name == "posix"  # on Windows the option lets another process take the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, may_reuse)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # Linux lets two sockets bind to a port until one of them listens: socket(7)
    except OSError:
        listener.close()
        raise
    return listener
