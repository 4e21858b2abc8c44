"""One request and its response, between uvicorn's protocol and the application."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.error_texts import Detail
from broker.errors import BrokerError, RequestTimeoutError

from .uvicorn_internals import STATUS_LINE, RequestResponseCycle

BODY_DEADLINE: Final = 10.0
"""Seconds in which a body must arrive, from the moment when the application first receives.

An endpoint that takes files sets other ``broker.body_seconds`` in the request's scope.
"""

_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})
_CONTROLS: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])  # RFC 9110, section 5.5
_TO_LINE_FEED: Final = bytes.maketrans(_CONTROLS, b"\n" * len(_CONTROLS))


class RequestCycle(RequestResponseCycle):
    """uvicorn's cycle with four differences.

    - A body has a deadline.
    - A body may fail, and a response that precedes the end of a chunked body is the last on its connection.
    - A response that precedes an offered body (``Expect: 100-continue``) is the last on its connection.
    - A complete response is sent in one write. uvicorn sends head and body apart, and the second system call costs as
      much as the signing of a URL.
    """

    _body_deadline: float | None = None  # by the loop's clock
    _response_start: Any = None
    _body_error: BrokerError | None = None
    is_chunked = False

    def fail(self, error: BrokerError) -> None:
        """End the body with an error, which the application receives, and the connection with the response."""
        self._body_error, self.keep_alive = error, False
        self.message_event.set()

    async def receive(self) -> Any:
        """Return the next piece of the body; raise its error, or ``RequestTimeoutError`` after the deadline."""
        if not self.more_body:
            return await super().receive()
        seconds: float = self.scope.get("broker.body_seconds", BODY_DEADLINE)  # type: ignore[assignment]  # our member
        self._body_deadline = self._body_deadline or asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(self._body_deadline):
                message = await super().receive()
        except TimeoutError:
            raise RequestTimeoutError(Detail.BODY_TIMEOUT.format(seconds=round(seconds))) from None
        if self._body_error:
            raise self._body_error
        return message

    async def send(self, message: Any) -> None:
        """Keep the response's head, then send it with the body; leave an incomplete response to uvicorn."""
        if message["type"] == "http.response.start" and self._response_start is None:
            self._response_start = message
            return
        start, self._response_start = self._response_start, None
        if start is not None and self.waiting_for_100_continue:
            # The client may send the body or the next request, and no byte shows which: RFC 9110, section 10.1.1
            self.waiting_for_100_continue = self.keep_alive = False
        if start is not None and self.is_chunked and self.more_body:
            self.keep_alive = False
        if start is None or self.flow.write_paused or self.disconnected or not self._is_complete(start, message):
            if start is not None:
                await super().send(start)
            await super().send(message)
        else:
            self._send_complete(start["status"], start["headers"], message["body"])

    def _is_complete(self, start: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
        fields = dict(start["headers"])
        return (
            self.scope["method"] != "HEAD"
            and fields.get(b"content-length") == b"%d" % len(message["body"])
            and not message.get("more_body")
            and _FRAMING.isdisjoint(fields)
        )

    def _send_complete(self, status: int, given: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        fields = (*self.default_headers, *given)
        head = b"\r\n".join((*map(b": ".join, fields), b""))
        if head.translate(_TO_LINE_FEED).count(b"\n") != len(b"\r\n") * len(fields):
            raise RuntimeError("a header field has a control character")
        ending = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], head, ending, body)))
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
