"""What a request leaves behind: its id in the answer, one JSON line in the log, and nothing secret.

Rules of this module
- The line names the route's template, never the path: an upload id is a capability, a query may hold a URL.
- An accident is answered with ``internal`` and its request id; where it happened goes to the log, what was in the
  variables does not.
- A pure ASGI middleware: BaseHTTPMiddleware costs more than all the rest of a request.
"""

import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.error_texts import Detail
from broker.errors import BrokerError

from . import request_record, schemas
from .problems import respond

access_log = logging.getLogger("broker.access")
error_log = logging.getLogger("broker.web")

CountRequest = Callable[[Scope, int, float], object]
"""Takes a request's scope, its status (0 if it got no answer) and its seconds."""

_encode = msgspec.json.Encoder().encode


class RequestLog:
    """The outermost layer of the application. ``write`` takes each request's line, ``count`` what is measured of it."""

    def __init__(
        self,
        app: ASGIApp,
        write: Callable[[str], object] = access_log.info,
        count: CountRequest | None = None,
    ) -> None:
        self._app = app
        self._write = write
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and write its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        line = request_record.begin(scope)
        identity = line["requestId"]

        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                line["status"] = message["status"]
                message["headers"] += ((b"x-request-id", identity.encode()), *schemas.ALWAYS)
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001  the last line of defence
            error_log.error(_accident(error, identity))
            if not line["status"]:
                line["code"] = BrokerError.code
                response = respond(BrokerError(Detail.INTERNAL), identity)
                await response(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - began
            line["route"], line["ms"] = getattr(scope.get("route"), "path", None), int(seconds * 1e5) / 100
            self._write(_encoded(line))
            if self._count:
                self._count(scope, line["status"], seconds)


def _encoded(line: Mapping[str, Any]) -> str:
    try:
        return _encode(line).decode()
    except UnicodeEncodeError:
        # A lone surrogate: JSON can escape it, and UTF-8 does not have it (RFC 8259, section 8.2)
        return json.dumps(line, default=str)


def _accident(error: Exception, identity: str) -> str:
    """Type and place of an exception, not its words: they may quote what must not be written down."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames]
    return json.dumps({"event": "accident", "requestId": identity, "type": type(error).__name__, "where": where})
