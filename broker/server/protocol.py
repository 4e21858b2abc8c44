"""The protocol of a connection: its deadlines, its requests in order, and its end.

Rules of this module
- A request that is refused here does not reach the application, and its connection ends with the response.
- Deadlines are totals: bytes that arrive slowly do not extend them.
- A request whose head arrives in one piece costs no timer.
"""

import asyncio
import json
import logging
import uuid
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

from .closing import LingeringTransport, final_response, shut_down_unless_readable
from .request_cycle import RequestCycle
from .request_head import FIELDS_MAX, HEAD_MAX, RequestHeadProtocol

access_log = logging.getLogger("broker.access")

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

_LINGER_TIMEOUT: Final = 2.0
"""Seconds for which a connection that sends no more still receives."""

_READ_INTERVAL: Final = 0.05
"""Seconds in which the event loop reads bytes that have arrived."""


class HttpProtocol(RequestHeadProtocol):
    """uvicorn's protocol with deadlines and error responses; uvicorn's option ``http`` names it."""

    _lingering_refusals: ClassVar[set["HttpProtocol"]] = set()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._received = 0  # bytes of a head that arrives in pieces
        self._idle_since = 0.0  # by the loop's clock
        self._in_body = False
        self._is_stopping = False
        self._is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Wait for a head, or refuse a connection over the limit."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            self._refuse_connection()
        else:
            self._start_timer(HEAD_DEADLINE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        self._lingering_refusals.discard(self)
        self._cancel_timer()
        self._unset_keepalive_if_required()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes, and refuse a malformed request."""
        if self._is_ending:
            return
        if not self._in_body:
            self._received += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserUpgrade:  # RFC 9110, section 7.8: a server may ignore Upgrade
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            cause = error.__context__  # raised by a method that httptools called
            self._refuse(cause if isinstance(cause, BrokerError) else MalformedRequestError(Detail.HTTP_MALFORMED))
        except HeadTooLargeError as error:
            self._refuse(error)

    def on_headers_complete(self) -> None:
        """Start the request, or queue it behind the one in flight."""
        version = self.parser.get_http_version()
        self.check_head(version)
        self._cancel_timer()
        self._received, self._in_body = 0, True
        self.complete_scope(version)
        before, self.cycle = self.cycle, self._request_cycle(version)
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # one response at a time, and in order: RFC 9112, section 9.3.2
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        """End the body of a request."""
        self._in_body = False
        super().on_message_complete()

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
            self._cancel_timer()
            self._start_timer(STOP_IDLE_TIMEOUT)
        else:
            self.cycle.keep_alive = False

    def close_lingering(self) -> None:
        """Send no more, and still receive for a moment: a reset could overtake the response (RFC 9112, section 9.6)."""
        self._cancel_timer()
        self._is_ending = True
        self.pipeline.clear()  # bytes behind this request are not parsed as a request
        self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_TIMEOUT, self.transport.abort)

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
        lingers = is_long or is_offered
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
        self.parser.feed_data(data)
        if self._received > HEAD_MAX:
            raise HeadTooLargeError(HEAD_MAX, FIELDS_MAX)
        if self._is_idle and self._timer is None:
            self._start_timer(HEAD_DEADLINE)

    def _start_timer(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._on_timer)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        """Refuse a head that is late, or close a connection on which nothing has arrived."""
        if self._received:
            self._refuse(RequestTimeoutError(Detail.HEAD_TIMEOUT.format(seconds=round(HEAD_DEADLINE))))
        elif not shut_down_unless_readable(self.transport):
            self._start_timer(_READ_INTERVAL)
        else:
            self.transport.close()

    def _refuse_connection(self) -> None:
        """Respond before there is a request.

        There is no log line: a flood of connections would write as many lines.
        """
        self.connections.discard(self)  # a refused connection does not count
        fields = self.server_state.default_headers
        self.transport.write(final_response(TooManyConnectionsError(), uuid.uuid4().hex, fields))
        if len(self._lingering_refusals) < LINGERING_REFUSALS_MAX:
            self._lingering_refusals.add(self)
            self.close_lingering()
        else:
            self._is_ending = True
            self.transport.close()

    def _refuse(self, error: BrokerError) -> None:
        """Respond to a request that cannot be parsed, and end the connection.

        While another request is in flight there is no response: the response of that one is the last.
        """
        if self._is_idle:
            request_id = uuid.uuid4().hex
            line = {
                "event": "broker.request_refused",
                "requestId": request_id,
                "status": error.status,
                "code": error.code,
            }
            access_log.info(json.dumps(line))
            self.transport.write(final_response(error, request_id, self.server_state.default_headers))
            self.close_lingering()
        else:
            self._is_ending = True
            self.cycle.keep_alive = False
