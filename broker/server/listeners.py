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
        text = f"cannot listen on {address}: {lowercase(reason)}. {remedy}"
        raise StartError(text, Exit.CANNOT_LISTEN) from None


def adopt(descriptor: int) -> socket.socket:
    """Return the listening socket that another process opened, such as systemd; raise ``StartError``."""
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise _not_listening(descriptor, lowercase(error.strerror or str(error))) from None
    if listener.type != socket.SOCK_STREAM or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.detach()
        raise _not_listening(descriptor, "it is not a listening stream socket")
    listener.set_inheritable(False)  # workers receive it by multiprocessing, other programs must not
    return listener


def lowercase(reason: str) -> str:
    """Return the text of a system error, for the inside of a sentence."""
    return f"{reason[:1].lower()}{reason[1:]}"


def _not_listening(descriptor: int, reason: str) -> StartError:
    return StartError(f"--fd {descriptor} cannot be used: {reason}. Pass a listening socket; systemd's first one is 3.")


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
