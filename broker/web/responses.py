"""JSON responses and the header fields of all responses."""

from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Field = tuple[bytes, bytes]
"""A header field as ASGI has it: its name in lower case, and its value."""

NO_STORE: Final = {"Cache-Control": "no-store", "Vary": "Authorization"}
"""Header fields of responses that hold a URL or belong to one principal (RFC 9111)."""

ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
"""Header fields of every response: browsers neither guess its type nor send its URL to other sites."""

_JSON: Final = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode


class JsonResponse(Response):
    """A Starlette response whose header fields are bytes from the start, which saves their encoding."""

    def __init__(self, body: bytes, status: int, fields: list[Field]) -> None:
        self.body, self.status_code, self.raw_headers, self.background = body, status, fields, None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def json_response(
    document: object,
    status: int = 200,
    *more: Field,
    cache_control: bytes = b"no-store",
    vary: bytes = b"Authorization",
) -> Response:
    """Return a JSON response with ``more`` header fields; by default no cache keeps it."""
    body = _encode(document)
    length = (b"content-length", b"%d" % len(body))
    return JsonResponse(body, status, [_JSON, length, (b"cache-control", cache_control), (b"vary", vary), *more])
