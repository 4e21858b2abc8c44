"""The last response of a connection whose request was refused, and the end of that connection."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from broker.web.cors import CorsRules

from .closing import final_response
from .refused_head import RefusedHead
from .request_head import RequestHeadProtocol

access_log = logging.getLogger("broker.access")

LINGER_TIMEOUT: Final = 2.0
"""Seconds for which a connection that sends no more still receives."""

ORIGIN_TIMEOUT: Final = 1.0
"""Seconds for which a refusal waits for the Origin field."""

_NO_CORS: Final = CorsRules(())


class RefusingProtocol(RequestHeadProtocol):
    """A protocol that responds to a refused head, and then ends the connection.

    ``timer`` is the deadline of the connection's present state. While ``is_ending`` is true no request is parsed.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cors: CorsRules = getattr(getattr(self.app, "state", None), "cors", _NO_CORS)
        self.timer: asyncio.TimerHandle | None = None
        self.is_ending = False
        self._refused: RefusedHead | None = None  # while its response waits for the Origin field

    def start_timer(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call ``callback`` in ``seconds``, unless the timer is cancelled."""
        self.timer = self.loop.call_later(seconds, callback)

    def cancel_timer(self) -> None:
        """Cancel the timer."""
        if self.timer:
            self.timer.cancel()
            self.timer = None

    def close_lingering(self) -> None:
        """Send no more, and still receive for a moment: a reset could overtake the response (RFC 9112, section 9.6)."""
        self.cancel_timer()
        self.is_ending = True
        self.pipeline.clear()  # bytes behind this request are not parsed as a request
        self.transport.write_eof()
        self.start_timer(LINGER_TIMEOUT, self.transport.abort)

    def refuse_head(self, refused: RefusedHead, *, waits: bool = True) -> None:
        """Respond, and end the connection; if ``waits`` is true, the Origin field may arrive before."""
        self.cancel_timer()
        self._refused, self.is_ending = refused, True
        if waits and self.cors.depend_on_origin and not refused.is_searched:
            self.start_timer(ORIGIN_TIMEOUT, partial(self._respond, refused))
        else:
            self._respond(refused)

    def search_origin(self, data: bytes) -> None:
        """Search the Origin field in bytes that arrive after the refusal; respond once it is found."""
        if self._refused:
            self._refused.add(data)
            if self._refused.is_searched:
                self._respond(self._refused)

    def response_to(self, refused: RefusedHead) -> bytes:
        """Return the response, and log it unless a flood could cause as many lines."""
        request_id = uuid.uuid4().hex
        if refused.is_logged:
            access_log.info(refused.log_line(request_id))
        fields = (*self.server_state.default_headers, *refused.cors_fields(self.cors))
        return final_response(refused.error, request_id, fields)

    def _respond(self, refused: RefusedHead) -> None:
        self._refused = None
        self.transport.write(self.response_to(refused))
        self.close_lingering()
