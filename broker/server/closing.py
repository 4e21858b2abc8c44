"""The end of a connection: its final response, and a shutdown that loses no request."""

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


class LingeringTransport:
    """The part of a transport that a request cycle uses, with a lingering ``close``.

    It is for a request whose body may still arrive after its response.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


def shut_down_unless_readable(transport: asyncio.Transport) -> bool:
    """Shut down the sending direction at once unless there are bytes to read; return whether it was shut down.

    A request may have arrived since the last read of the event loop, and another may arrive before
    ``transport.close`` acts in the loop's next iteration. Both would be lost.
    """
    connection = socket.socket(fileno=transport.get_extra_info("socket").fileno())
    try:
        with _Selector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            is_readable = bool(selector.select(0))
        if not is_readable:
            with contextlib.suppress(OSError):  # the client may have just reset the connection
                connection.shutdown(socket.SHUT_WR)
        return not is_readable
    finally:
        connection.detach()  # the transport keeps the descriptor


def final_response(error: BrokerError, request_id: str, fields: Sequence[Field]) -> bytes:
    """Return the last response of a connection: the problem document of ``error``, with ``fields`` in its head."""
    body = msgspec.json.encode(problem(error, request_id))
    closing = {"Connection": "close", **error.headers}
    head = [
        *fields,
        *ALWAYS,
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
        (b"content-length", b"%d" % len(body)),
        *((name.lower().encode(), value.encode()) for name, value in closing.items()),
    ]
    status = f"HTTP/1.1 {error.status} {error.status.phrase}".encode()
    return b"\r\n".join((status, *(b"%b: %b" % field for field in head), b"", body))
