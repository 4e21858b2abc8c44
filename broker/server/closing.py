"""How a connection ends: with an answer to what is not a request, and without losing what has arrived."""

import asyncio
import contextlib
import selectors
import socket
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from broker.errors import BrokerError
from broker.web.representations import problem
from broker.web.responses import ALWAYS, Field

_Selector: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)  # poll(2) takes no descriptor


class Lingering:
    """What a request's cycle uses of a transport, for one whose body may still be coming when it is answered.

    ``end`` closes it.
    """

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = end


def shut_down_if_silent(transport: asyncio.Transport) -> bool:
    """End the sending direction at once, unless the client has sent something; returns whether it was ended.

    A request may have arrived since the event loop read last, and ``transport.close`` acts only in the next turn of the
    loop, until when another may arrive: both would be lost.
    """
    connection = socket.socket(fileno=transport.get_extra_info("socket").fileno())
    try:
        with _Selector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            is_silent = not selector.select(0)
        if is_silent:
            with contextlib.suppress(OSError):  # the client may have reset it this moment
                connection.shutdown(socket.SHUT_WR)
        return is_silent
    finally:
        connection.detach()  # it stays the transport's


def answer(error: BrokerError, identity: str, fields: Sequence[Field]) -> bytes:
    """Return the last answer of a connection, with ``fields`` in its head."""
    body = msgspec.json.encode(problem(error, identity))
    closing = {"Connection": "close", **error.headers}
    head = [
        *fields,
        *ALWAYS,
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", identity.encode()),
        (b"content-length", b"%d" % len(body)),
        *((name.lower().encode(), value.encode()) for name, value in closing.items()),
    ]
    status = f"HTTP/1.1 {error.status} {error.status.phrase}".encode()
    return b"\r\n".join((status, *(b"%b: %b" % field for field in head), b"", body))
