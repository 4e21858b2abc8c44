"""One connection, which carries one request at a time.

Rules of this module
- A connection is reusable only after a request and its complete response. A cancelled caller, a failure or unexpected
  bytes end it, so that no request ever gets the response to another one.
- A streamed body is sent at the pace at which the server reads it. If it fails, the connection ends before its length
  is reached, so that the server never takes a part of a body for the whole (RFC 9112 section 8).
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import cast

from .http_errors import HttpError, ServerDisconnectedError
from .message import BodyStream, Response, ResponseParser


class Connection(asyncio.Protocol):
    """The asyncio protocol of one connection. ``closed`` is done once the connection has ended."""

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[["Connection"], None]) -> None:
        self._loop = loop
        self._on_lost = on_lost
        self._parser: ResponseParser | None = None
        self._response: asyncio.Future[Response] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the transport is open, so that a request may be sent."""
        return not self._transport.is_closing()

    async def send(self, request: bytes, parser: ResponseParser, stream: BodyStream | None = None) -> Response:
        """Send an encoded request and return its response; raise ``HttpError`` or ``OSError``.

        A ``stream`` is sent behind it. Its own errors are raised too.
        """
        self._parser = parser
        pending: asyncio.Future[Response] = self._loop.create_future()
        self._response = pending
        self._transport.write(request)
        try:
            if stream and not await self._send_stream(stream, pending):
                parser.is_reusable = False
            response = await pending
        except BaseException:  # a cancelled caller, too
            self.abort()
            raise
        finally:
            self._parser = self._response = None
        if not parser.is_reusable or self._transport.get_write_buffer_size():
            self.abort()
        return response

    async def _send_stream(self, stream: BodyStream, response: "asyncio.Future[Response]") -> bool:
        """Send a body and wait for the response; return whether the body was complete before the response.

        Raises ``TimeoutError`` when the server neither reads nor responds in time, and ``ValueError`` for a body that
        does not have its length.
        """
        left = stream.length
        async with aclosing(stream.pieces()) as pieces:
            async for piece in pieces:
                if response.done():  # this piece is not sent, so the body stays incomplete
                    break
                left -= len(piece)
                if left < 0:
                    break
                self._transport.write(piece)
                async with asyncio.timeout(stream.patience):
                    await self._may_write.wait()
        if left and not response.done():
            raise ValueError("a streamed body must have exactly its length")
        async with asyncio.timeout(stream.patience):
            await asyncio.wait((response,))
        return not left

    def abort(self) -> None:
        """Close the connection at once, if it is open.

        Some versions of asyncio raise an error when a TLS transport is aborted twice.
        """
        if self.is_open:
            self._transport.abort()

    # Callbacks of the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop does not inherit its transports from asyncio

    def pause_writing(self) -> None:
        """Let a streamed body wait until the server has read more of it."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Continue a streamed body."""
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the response; end the connection if no request waits for them."""
        response, parser = self._response, self._parser
        if response is None or parser is None or response.done():
            self.abort()  # bytes without a request
            return
        try:
            if parser.feed(data):
                response.set_result(parser.response)
                self.resume_writing()
        except HttpError as error:
            response.set_exception(error)
            self.resume_writing()

    def eof_received(self) -> None:
        """Complete a response without a length, or fail the request in flight."""
        response, parser = self._response, self._parser
        if response is None or parser is None or response.done():
            return
        try:
            parser.feed_eof()
            response.set_result(parser.response)
        except HttpError as error:
            response.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in flight, and mark the connection as closed."""
        self.resume_writing()
        if self._response and not self._response.done():
            self._response.set_exception(exc if isinstance(exc, OSError) else ServerDisconnectedError())
        self.closed.set_result(None)
        self._on_lost(self)
