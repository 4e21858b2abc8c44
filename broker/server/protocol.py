"""The protocol of a connection: its deadlines, its requests in order, and its end.

Rules of this module
- A request that is refused here does not reach the application, and its connection ends with the response.
- Deadlines are totals: bytes that arrive slowly do not extend them.
- A request whose head arrives in one piece costs no timer.
- An offer to upgrade is ignored (RFC 9110, section 7.8). httptools would read no body behind it, so it receives the
  head again without the offer.
"""

import asyncio
from typing import Any, ClassVar, Final

import httptools

from broker.error_texts import Detail
from broker.errors import (
    BrokerError,
    HeadTooLargeError,
    MalformedRequestError,
    RequestTimeoutError,
    TooManyConnectionsError,
)

from .chunked_body import ChunkedBody, line_end
from .closing import LingeringTransport, shut_down_unless_readable
from .refused_head import RefusedHead
from .refusing_protocol import RefusingProtocol
from .request_cycle import RequestCycle
from .request_head import FIELDS_MAX, HEAD_MAX

KEEP_ALIVE_BODY_MAX: Final = 64 * 1024
"""Maximum bytes of a declared body after which the connection is kept alive."""

HEAD_DEADLINE: Final = 10.0
"""Seconds in which a head must arrive, from the opening of the connection or from the head's first byte."""

WRITE_DEADLINE: Final = 60.0
"""Seconds in which a client must read a response that fills the buffers."""

STOP_IDLE_TIMEOUT: Final = 1.0
"""Seconds for which an idle connection stays open when the server stops: a request may be on its way."""

LINGERING_REFUSALS_MAX: Final = 8
"""Refused connections that linger at the same time, so that their clients can read the response."""

_READ_INTERVAL: Final = 0.05
"""Seconds in which the event loop reads bytes that have arrived."""


class HttpProtocol(RefusingProtocol):
    """uvicorn's protocol with deadlines and error responses; uvicorn's option ``http`` names it."""

    cycle: RequestCycle
    _lingering_refusals: ClassVar[set["HttpProtocol"]] = set()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._chunks: ChunkedBody | None = None  # while a chunked body arrives
        self._second_head = b""  # of a request that offers an upgrade
        self._write_timer: asyncio.TimerHandle | None = None
        self._received = 0  # bytes of a head that arrives in pieces
        self._idle_since = 0.0  # by the loop's clock
        self._in_body = False
        self._is_stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Wait for a head, or refuse a connection over the limit."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            self._refuse_connection()
        else:
            self.start_timer(HEAD_DEADLINE, self._on_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        self._lingering_refusals.discard(self)
        self.cancel_timer()
        self._unset_keepalive_if_required()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes, and refuse a malformed request."""
        if self.is_ending:
            self.search_origin(data)
            return
        if not self._in_body:
            self._received += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            cause = error.__context__  # raised by a method that httptools called
            known = cause if isinstance(cause, BrokerError) else MalformedRequestError(Detail.HTTP_MALFORMED)
            self._refuse(known, data)
        except BrokerError as error:
            self._refuse(error, data)

    def on_headers_complete(self) -> None:
        """Start the request, or queue it behind the one in flight."""
        version = self.parser.get_http_version()
        self.check_head(version)
        if self.offers_upgrade and self.parser.should_upgrade():
            self._second_head = self.head_without_upgrade(version)
            return
        self.complete_scope(version)
        self.cancel_timer()
        self.is_in_head, self._received, self._in_body = False, 0, True
        if self.head:
            self.head.clear()
        before, self.cycle = self.cycle, self._request_cycle(version)
        if self.is_chunked:
            self._chunks, self.cycle.is_chunked = ChunkedBody(), True
            self.headers = []  # trailers are header fields to httptools: they count as such, and are dropped
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # one response at a time, and in order: RFC 9112, section 9.3.2
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        """End the body of a request; an upgraded connection would have none."""
        if self._second_head:
            return
        if self._chunks:
            self._chunks.discount(0)
            self._chunks = None
        self._in_body = False
        super().on_message_complete()

    def on_chunk_header(self) -> None:
        """Begin the content of a chunk."""
        self._chunks.start_chunk()  # type: ignore[union-attr]  # httptools calls it in a chunked body only

    def on_chunk_complete(self) -> None:
        """End a chunk."""
        self._chunks.end_chunk()  # type: ignore[union-attr]  # see above

    def on_response_complete(self) -> None:
        """Start the next request, or wait for one.

        uvicorn starts a timer for each request; here one timer serves all requests of a keep-alive period.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._start_idle_timer(self.timeout_keep_alive)

    def pause_writing(self) -> None:
        """Give the client ``WRITE_DEADLINE`` seconds to read the buffered bytes."""
        super().pause_writing()
        self._write_timer = self._write_timer or self.loop.call_later(WRITE_DEADLINE, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the deadline for reading the buffered bytes."""
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def shutdown(self) -> None:
        """Stop: finish the requests in flight, and accept one more on an idle connection for a moment."""
        self._is_stopping = True
        if self._is_idle:
            self.cancel_timer()
            self.start_timer(STOP_IDLE_TIMEOUT, self._on_timer)
        else:
            self.cycle.keep_alive = False

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_idle_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._on_idle_timer)

    def _on_idle_timer(self) -> None:
        """Close the connection if it was idle for the keep-alive period, or check again later."""
        self.timeout_keep_alive_task = None
        if self._is_idle and not self._received and not self.transport.is_closing():
            left = self._idle_since + self.timeout_keep_alive - self.loop.time()
            if left > 0 or not shut_down_unless_readable(self.transport):
                self._start_idle_timer(max(left, _READ_INTERVAL))
            else:
                self.transport.close()

    def _request_cycle(self, version: str) -> RequestCycle:
        is_long = self.body_length > KEEP_ALIVE_BODY_MAX
        is_offered = self.expect_100_continue and version == "1.1"  # RFC 9110, section 10.1.1: ignored in HTTP/1.0
        lingers = is_long or is_offered or self.is_chunked
        transport: Any = LingeringTransport(self.transport, self.close_lingering) if lingers else self.transport
        return RequestCycle(
            scope=self.scope,
            transport=transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=is_offered,
            keep_alive=version == "1.1" and self.parser.should_keep_alive() and not (is_long or self._is_stopping),
            on_response=self.on_response_complete,
        )

    def _parse(self, data: bytes) -> None:
        """Parse bytes: line by line if a chunked body may be in them, so that lines which frame it are counted."""
        if self._chunks or self.head or b"chunked" in data:
            end = 0
            while end < len(data):
                start, end = end, self._chunks.piece_end(data, end) if self._chunks else line_end(data, end)
                self._parse_piece(data[start:end])
        else:
            self._feed(data)
            if self.is_in_head:
                self.head += data
        if self._received > HEAD_MAX:
            raise HeadTooLargeError(HEAD_MAX, FIELDS_MAX)
        if self._is_idle and self.timer is None:
            self.start_timer(HEAD_DEADLINE, self._on_timer)

    def _parse_piece(self, piece: bytes) -> None:
        if chunks := self._chunks:
            chunks.count(piece)
            before = len(self.cycle.body)
            self._feed(piece)
            chunks.discount(len(self.cycle.body) - before)
        else:
            self._feed(piece)
        if self.is_in_head:
            self.head += piece

    def _feed(self, data: bytes | memoryview) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
                second_head, self._second_head = self._second_head, b""
                # A new parser: behind "Connection: close" the old one would add the digits of both lengths
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(second_head)
            else:
                return

    def _on_timer(self) -> None:
        """Refuse a head that is late, or close a connection on which nothing has arrived."""
        if self._received:
            error = RequestTimeoutError(Detail.HEAD_TIMEOUT.format(seconds=round(HEAD_DEADLINE)))
            self.refuse_head(RefusedHead(error, bytes(self.head)), waits=False)
        elif not shut_down_unless_readable(self.transport):
            self.start_timer(_READ_INTERVAL, self._on_timer)
        else:
            self.transport.close()

    def _refuse_connection(self) -> None:
        """Respond before there is a request.

        There is no log line: a flood of connections would write as many lines.
        """
        self.connections.discard(self)  # a refused connection does not count
        refused = RefusedHead(TooManyConnectionsError(), b"", is_logged=False)
        if len(self._lingering_refusals) < LINGERING_REFUSALS_MAX:
            self._lingering_refusals.add(self)
            self.refuse_head(refused)
        else:
            self.is_ending = True
            self.transport.write(self.response_to(refused))
            self.transport.close()

    def _refuse(self, error: BrokerError, received: bytes) -> None:
        """Respond to a request that cannot be parsed, and end the connection.

        An application that waits for the body receives the error. While another request is in flight there is no
        response: the response of that one is the last.
        """
        if self._chunks:
            self.is_ending = True
            self.cycle.fail(error)
        elif self._is_idle:
            self.refuse_head(RefusedHead(error, bytes(self.head) + received))
        else:
            self.is_ending = True
            self.cycle.keep_alive = False
