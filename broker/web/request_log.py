"""The outermost middleware: a request id in every response, one JSON line in the log, and a measurement.

Rules of this module
- The line has the route's template, not the path: an upload id is a capability, and a query may hold a URL.
- The response to an unhandled exception is ``internal``, with the request id. The log has its type and location,
  without the values of variables, which may be secret.
- It is a pure ASGI middleware, because BaseHTTPMiddleware costs more than the rest of a request.
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

from . import request_record
from .problems import respond
from .responses import ALWAYS

access_log = logging.getLogger("broker.access")
error_log = logging.getLogger("broker.web")

CountRequest = Callable[[Scope, int, float], object]
"""Receives a request's scope, its status (0 if there was no response) and its duration in seconds."""

_encode = msgspec.json.Encoder().encode


def log_line(line: bytes) -> None:
    """Log the line of a request by Python's ``logging``."""
    access_log.info(line.decode())


class RequestLog:
    """Logs and measures each request.

    ``write_line`` receives the JSON line of each request, ``count_request`` its measurement.
    """

    def __init__(
        self,
        app: ASGIApp,
        write_line: Callable[[bytes], object] = log_line,
        count_request: CountRequest | None = None,
    ) -> None:
        self._app = app
        self._write_line = write_line
        self._count_request = count_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, then write its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        record = request_record.start(scope)
        request_id = record["requestId"]

        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                record["status"] = message["status"]
                message["headers"] += ((b"x-request-id", request_id.encode()), *ALWAYS)
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001  no exception may reach the server, which would log its text
            error_log.error(_failure(error, request_id))
            if not record["status"]:
                record["code"] = BrokerError.code
                response = respond(BrokerError(Detail.INTERNAL), request_id)
                await response(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            record["route"], record["ms"] = getattr(scope.get("route"), "path", None), int(seconds * 1e5) / 100
            self._write_line(_encoded(record))
            if self._count_request:
                self._count_request(scope, record["status"], seconds)


def _encoded(record: Mapping[str, Any]) -> bytes:
    try:
        return _encode(record)
    except UnicodeEncodeError:
        # JSON can escape a lone surrogate, which UTF-8 cannot encode (RFC 8259, section 8.2)
        return json.dumps(record, default=str).encode()


def _failure(error: Exception, request_id: str) -> str:
    """Return the line of an unhandled exception: its type and location, without its text, which may quote a secret."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames]
    return json.dumps(
        {"event": "broker.request_failed", "requestId": request_id, "type": type(error).__name__, "where": where}
    )
