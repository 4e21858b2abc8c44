"""One request and its answer, between uvicorn's protocol and the application."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from broker.errors import RequestTimeoutError

BODY_DEADLINE: Final = 10.0
"""Seconds in which a body must have arrived, from when the application first asks for it."""

_CONTROLS: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])  # RFC 9110, section 5.5
_TO_LINE_FEED: Final = bytes.maketrans(_CONTROLS, b"\n" * len(_CONTROLS))


class Exchange(RequestResponseCycle):
    """uvicorn's, with two differences: a body has a deadline, and a whole answer leaves in one write.

    uvicorn writes head and body apart, each with a call of the system's: that is as dear as all of the signing.
    """

    _body_by: float | None = None
    _start: Any = None

    async def receive(self) -> Any:
        """The next piece of the body; raises ``RequestTimeoutError`` when it does not come in time."""
        if not self.more_body:
            return self._whole_body() or await super().receive()
        self._body_by = self._body_by or asyncio.get_running_loop().time() + BODY_DEADLINE
        try:
            async with asyncio.timeout_at(self._body_by):
                return await super().receive()
        except TimeoutError:
            raise RequestTimeoutError(f"The body must arrive within {BODY_DEADLINE:.0f} seconds.") from None

    def _whole_body(self) -> Any:
        """What uvicorn makes of a body that is here and that nobody took; ``None`` where it has more to look at."""
        ended = self.disconnected or self.response_complete
        if ended or self.waiting_for_100_continue or not self.message_event.is_set():
            return None
        self.message_event.clear()
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        """Take the answer's head, then its body. An answer that is not whole, or has no body, is uvicorn's to frame."""
        if message["type"] == "http.response.start" and self._start is None:
            self._start = message
            return
        start, self._start = self._start, None
        if start and not (message.get("more_body") or self.flow.write_paused or self.disconnected):
            fields = (*self.default_headers, *start["headers"])
            head = b"\r\n".join((STATUS_LINE[start["status"]][:-2], *map(b": ".join, fields), b""))
            if self._is_whole(fields, head, message["body"]):
                if head.translate(_TO_LINE_FEED).count(b"\n") != len(b"\r\n") * (len(fields) + 1):
                    raise RuntimeError("a header field has a control character")
                self._write(head, message["body"])
                return
        if start:
            await super().send(start)
        await super().send(message)

    def _is_whole(self, fields: Sequence[tuple[bytes, bytes]], head: bytes, body: bytes) -> bool:
        return (
            (b"content-length", b"%d" % len(body)) in fields
            and head.find(b"\r\nconnection: ") == head.find(b"\r\ntransfer-encoding: ") == -1
            and self.scope["method"] != "HEAD"
        )

    def _write(self, head: bytes, body: bytes) -> None:
        ending = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((head, ending, body)))
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
