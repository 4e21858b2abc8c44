"""The CORS fields of a refusal: the Origin of a request whose head was not parsed to its end.

Without these fields a page cannot read the refusal, and reports a network error. The Origin field may stand behind the
bytes that were refused, so the response waits for it. It is searched in the bytes as they were received: whichever
listed origin the response names, a browser compares it with the origin of the page.
"""

import json
import re
from typing import Final

from broker.errors import BrokerError
from broker.web.cors import CorsRules
from broker.web.responses import Field

SEARCHED_MAX: Final = 64 * 1024
"""Bytes of a refused head in which its Origin is searched."""

_ORIGIN: Final = re.compile(rb"\r\norigin:[ \t]*([!-~]+)[ \t]*\r\n", re.IGNORECASE)
_END: Final = b"\r\n\r\n"
_OVERLAP: Final = 512  # bytes of a line that arrives in pieces


class RefusedHead:
    """A head that was refused with ``error``, of which some bytes were received.

    ``is_logged`` is whether the refusal has a line in the log.
    """

    def __init__(self, error: BrokerError, received: bytes, *, is_logged: bool = True) -> None:
        self.error = error
        self.is_logged = is_logged
        self._origin: bytes | None = None
        self._has_ended = False
        self._tail = b""
        self._received = 0
        self.add(received)

    def add(self, data: bytes) -> None:
        """Search the Origin in more bytes of the head, each of which is searched once."""
        window = self._tail + data
        end = window.find(_END)
        self._has_ended = end >= 0
        match = _ORIGIN.search(window, 0, end + 2 if self._has_ended else len(window))
        self._origin = match and match[1]
        self._tail = window[-_OVERLAP:]
        self._received += len(data)

    @property
    def is_searched(self) -> bool:
        """Whether more bytes cannot change the fields of the response."""
        return self._origin is not None or self._has_ended or self._received > SEARCHED_MAX

    def cors_fields(self, rules: CorsRules) -> tuple[Field, ...]:
        """Return the CORS fields of the response."""
        if self._origin is None and not self._has_ended:
            return rules.fields_without_request()
        return rules.fields(self._origin)

    def log_line(self, request_id: str) -> str:
        """Return the line of the log, which has nothing of the request."""
        code, status = self.error.code, self.error.status
        return json.dumps({"event": "broker.request_refused", "requestId": request_id, "status": status, "code": code})
