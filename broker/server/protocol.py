"""HTTP as it reaches us: limits on what may come before a request is known, and deadlines while it comes.

Rules of this module
- httptools parses: it refuses what h11 lets pass (bare line feeds, folded lines, a request behind a chunked body) at
  less than half its cost. What httptools leaves to others stands here: the size of a head, one Host, no
  Transfer-Encoding, no connection that is held by sending slowly or not at all.
- A request that is refused here reaches no application, and its connection ends with the answer.
- Deadlines are totals. A request whose head comes in one piece costs no timer.
"""

import asyncio
import json
import logging
import uuid
from typing import Any, ClassVar, Final

import httptools

from broker.errors import (
    BrokerError,
    HeadTooLargeError,
    MalformedRequestError,
    RequestTimeoutError,
    TooManyConnectionsError,
)

from .closing import Lingering, answer, shut_down_if_silent
from .request_cycle import RequestCycle
from .request_head import HEAD_MAX, RequestHeadProtocol

access_log = logging.getLogger("broker.access")

KEPT_BODY_MAX: Final = 64 * 1024
"""Bytes of a declared body, past which the connection ends with the answer."""

HEAD_DEADLINE: Final = 10.0
"""Seconds in which a head must have come, from the opening of the connection or from its first byte."""

WRITE_DEADLINE: Final = 60.0
"""Seconds in which a client must have taken an answer that fills the buffers."""

STOPPING_IDLE: Final = 1.0
"""Seconds that an idle connection is left to a request which is on its way, when the server stops."""

REFUSED_MAX: Final = 8
"""Refused connections that are kept for a moment, so that their clients get to read the answer."""

_LINGER: Final = 2.0
_UNREAD: Final = 0.05  # seconds in which the event loop reads what has arrived


class HttpProtocol(RequestHeadProtocol):
    """uvicorn's protocol within limits. Given to uvicorn as its ``http``."""

    _refused: ClassVar[set["HttpProtocol"]] = set()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._received = 0  # bytes of a head that came in pieces
        self._idle_since = 0.0  # by the loop's clock
        self._in_body = False
        self._is_last = False
        self._is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            self._refuse_connection()
        else:
            self._arm(HEAD_DEADLINE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._refused.discard(self)
        self._disarm()
        self._unset_keepalive_if_required()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        if not self._in_body:
            self._received += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:  # we offer no other protocol, so the request is a plain one: RFC 9110, 7.8
            self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, BrokerError) else MalformedRequestError("This is no HTTP request."))
        except HeadTooLargeError as error:
            self._refuse(error)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        self.check_head(version)
        self._disarm()
        self._received, self._in_body = 0, True
        self.complete_scope(version)
        before, self.cycle = self.cycle, self._exchange(version)
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # one answer at a time, and in order: RFC 9112, section 9.3.2
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, but a timer once in a keep-alive's time, not one for every request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._await_idleness(self.timeout_keep_alive)

    def _await_idleness(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._end_if_idle)

    def _end_if_idle(self) -> None:
        """Close the connection if nothing came since its last answer, for long enough."""
        self.timeout_keep_alive_task = None
        if self._is_idle and not self._received and not self.transport.is_closing():
            left = self._idle_since + self.timeout_keep_alive - self.loop.time()
            if left > 0 or not shut_down_if_silent(self.transport):
                self._await_idleness(max(left, _UNREAD))
            else:
                self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self._write_timer or self.loop.call_later(WRITE_DEADLINE, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def shutdown(self) -> None:
        """The server stops: what is under way is answered, and what is on its way on an idle connection, too."""
        self._is_last = True
        if self._is_idle:
            self._disarm()
            self._arm(STOPPING_IDLE)
        else:
            self.cycle.keep_alive = False

    def end(self) -> None:
        """Send no more, and take for a moment what still comes: else a reset could overtake the answer.

        RFC 9112, section 9.6.
        """
        self._disarm()
        self._is_ending = True
        self.pipeline.clear()  # what came behind the request is not a request any more
        self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER, self.transport.abort)

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _exchange(self, version: str) -> RequestCycle:
        is_long = self.body_length > KEPT_BODY_MAX
        is_offered = self.expect_100_continue and version == "1.1"  # RFC 9110, section 10.1.1: ignored of HTTP/1.0
        transport: Any = Lingering(self.transport, self.end) if is_long or is_offered else self.transport
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
            keep_alive=version == "1.1" and self.parser.should_keep_alive() and not (is_long or self._is_last),
            on_response=self.on_response_complete,
        )

    def _feed(self, data: bytes) -> None:
        self.parser.feed_data(data)
        if self._received > HEAD_MAX:
            raise HeadTooLargeError(HEAD_MAX)
        if self._is_idle and self._timer is None:
            self._arm(HEAD_DEADLINE)

    def _arm(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._is_late)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _is_late(self) -> None:
        if self._received:
            self._refuse(RequestTimeoutError(f"The head must arrive within {HEAD_DEADLINE:.0f} seconds."))
        elif not shut_down_if_silent(self.transport):
            self._arm(_UNREAD)
        else:
            self.transport.close()

    def _refuse_connection(self) -> None:
        """Answer before there is a request. No log line: a flood would write as many as it has connections."""
        self.connections.discard(self)  # it takes no place
        self.transport.write(answer(TooManyConnectionsError(), uuid.uuid4().hex, self.server_state.default_headers))
        if len(self._refused) < REFUSED_MAX:
            self._refused.add(self)
            self.end()
        else:
            self._is_ending = True
            self.transport.close()

    def _refuse(self, error: BrokerError) -> None:
        """Answer what is no request to us, and end the connection.

        Behind a request that is still under way there is no place for an answer: then that one is the last.
        """
        if self._is_idle:
            identity = uuid.uuid4().hex
            line = {
                "event": "broker.request_refused",
                "requestId": identity,
                "status": error.status,
                "code": error.code,
            }
            access_log.info(json.dumps(line))
            self.transport.write(answer(error, identity, self.server_state.default_headers))
            self.end()
        else:
            self._is_ending = True
            self.cycle.keep_alive = False
