"""One connection, which carries one request at a time.

Rules of this module
- A connection is usable while nothing is owed on it. Whatever is not a request and its whole response (a caller that
  went away, a failure, bytes that nobody asked for) ends it, so no response ever reaches another's request.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from .http_errors import HttpError, ServerDisconnectedError
from .message import Reading, Response


class Connection(asyncio.Protocol):
    """A protocol of one connection; ``closed`` is done once that has ended."""

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[["Connection"], None]) -> None:
        self._loop = loop
        self._on_lost = on_lost
        self._reading: Reading | None = None
        self._answer: asyncio.Future[Response] | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a request may be sent on it."""
        return not self._transport.is_closing()

    async def ask(self, request: bytes, reading: Reading) -> Response:
        """The response to an encoded request; raises ``HttpError`` or ``OSError``."""
        self._reading = reading
        self._answer = self._loop.create_future()
        self._transport.write(request)
        try:
            response = await self._answer
        except BaseException:  # a caller that goes away, too
            self.abort()
            raise
        finally:
            self._reading = self._answer = None
        if not reading.is_reusable or self._transport.get_write_buffer_size():
            self.abort()
        return response

    def abort(self) -> None:
        """End it now, if it has not ended. Some versions of asyncio raise when a TLS transport is aborted twice."""
        if self.is_open:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their types

    def data_received(self, data: bytes) -> None:
        answer, reading = self._answer, self._reading
        if answer is None or reading is None or answer.done():
            self.abort()  # a response that nobody asked for
            return
        try:
            if reading.feed(data):
                answer.set_result(reading.response)
        except HttpError as error:
            answer.set_exception(error)

    def eof_received(self) -> None:
        answer, reading = self._answer, self._reading
        if answer is None or reading is None or answer.done():
            return
        try:
            reading.feed_end()
            answer.set_result(reading.response)
        except HttpError as error:
            answer.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc if isinstance(exc, OSError) else ServerDisconnectedError())
        self.closed.set_result(None)
        self._on_lost(self)
