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
import re
import uuid
from typing import Any, ClassVar, Final
from urllib.parse import unquote

import httptools

from broker.error_texts import Detail, shown
from broker.errors import (
    BrokerError,
    HeadTooLargeError,
    LengthRequiredError,
    MalformedRequestError,
    RequestTimeoutError,
    TargetTooLongError,
    TooManyConnectionsError,
)

from .closing import Lingering, answer, shut_down_if_silent
from .request_cycle import RequestCycle
from .uvicorn_internals import HttpToolsProtocol

access_log = logging.getLogger("broker.access")

HEAD_MAX: Final = 16 * 1024
"""Bytes of all header fields."""

FIELDS_MAX: Final = 100
"""Header fields of one request."""

TARGET_MAX: Final = 8 * 1024
"""Bytes of a request target."""

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
_FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")  # RFC 9110, section 7.2; nothing is made from it


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol within limits. Given to uvicorn as its ``http``."""

    _refused: ClassVar[set["HttpProtocol"]] = set()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._received = 0  # bytes of a head that came in pieces
        self._field_bytes = self._hosts = self._body_length = 0
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
            self._refuse(cause if isinstance(cause, BrokerError) else MalformedRequestError(Detail.HTTP_MALFORMED))
        except HeadTooLargeError as error:
            self._refuse(error)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._field_bytes = self._hosts = self._body_length = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > TARGET_MAX:
            raise TargetTooLongError(TARGET_MAX)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value))
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > HEAD_MAX or len(self.headers) > FIELDS_MAX:
            raise HeadTooLargeError(HEAD_MAX, FIELDS_MAX)
        if name in _FRAMING:
            self._frame(name, value)

    def _frame(self, name: bytes, value: bytes) -> None:
        match name:
            case b"expect":
                self.expect_100_continue |= value.lower() == b"100-continue"
            case b"host":
                self._hosts += 1 if _HOST.fullmatch(value) else 2
            case b"content-length":
                self._body_length = int(value)  # httptools lets only digits pass
            case _:  # Transfer-Encoding: chunked bodies bring trailers, and two ways to say where a request ends
                raise LengthRequiredError(Detail.LENGTH_REQUIRED)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        self._check_head(version)
        self._disarm()
        self._received, self._in_body = 0, True
        self._describe(version)
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

    def _describe(self, version: str) -> None:
        """Complete the scope, which uvicorn began."""
        target, scope = httptools.parse_url(self.url), self.scope
        path = target.path.decode("ascii")
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = target.path
        scope["query_string"] = target.query or b""

    def _exchange(self, version: str) -> RequestCycle:
        is_long = self._body_length > KEPT_BODY_MAX
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

    def _check_head(self, version: str) -> None:
        if version not in ("1.1", "1.0"):
            raise MalformedRequestError(Detail.HTTP_VERSION.format(received=shown(version)))
        if self._hosts > 1 or self._hosts < (version == "1.1"):
            raise MalformedRequestError(Detail.HOST)  # RFC 9112, section 3.2

    def _feed(self, data: bytes) -> None:
        self.parser.feed_data(data)
        if self._received > HEAD_MAX:
            raise HeadTooLargeError(HEAD_MAX, FIELDS_MAX)
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
            self._refuse(RequestTimeoutError(Detail.HEAD_TIMEOUT.format(seconds=round(HEAD_DEADLINE))))
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
