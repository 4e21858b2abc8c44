"""Forms in multipart/form-data, byte by byte, and a request that delivers them in any pieces."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.types import Message

from broker.web import request_record
from broker.web.form import Form

BOUNDARY = "----boundary42"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
END = f"--{BOUNDARY}--\r\n".encode()


def part(body: bytes, *heads: str | bytes) -> bytes:
    """Return a part with these header lines, in UTF-8."""
    lines = [head.encode() if isinstance(head, str) else head for head in heads]
    return b"\r\n".join([f"--{BOUNDARY}".encode(), *lines, b"", body, b""])


def file_part(body: bytes, disposition: str | bytes = 'name="file"; filename="a.mp3"', kind: str = "") -> bytes:
    """Return a part with a file, whose Content-Type is omitted unless ``kind`` is given."""
    text = disposition.encode() if isinstance(disposition, str) else disposition
    return part(body, b"Content-Disposition: form-data; " + text, *([f"Content-Type: {kind}"] if kind else []))


def field_part(name: str, value: bytes = b"x") -> bytes:
    """Return a part with a field."""
    return part(value, f'Content-Disposition: form-data; name="{name}"')


def form(*parts: bytes) -> bytes:
    """Return a complete form."""
    return b"".join((*parts, END))


def request_of(
    pieces: Sequence[bytes],
    *,
    fields: Sequence[tuple[str, str]] | None = None,
    receive: Callable[[], Any] | None = None,
) -> Request:
    """Return a request whose body arrives in these pieces; by default it has a Content-Length."""
    given = [("content-type", TYPE), ("content-length", str(sum(map(len, pieces))))] if fields is None else fields
    left = list(pieces)

    async def next_piece() -> Message:
        body = left.pop(0) if left else b""
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    headers = [(name.encode(), value.encode("latin-1")) for name, value in given]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    request_record.start(scope)
    return Request(scope, receive or next_piece)


async def files_of(
    request: Request, *, field: str = "file", files_max: int = 1, file_max: int = 10**9
) -> list[tuple[str, str, bytes]]:
    """Return name, type and content of each file of the form."""
    found = []
    async for file in Form(request, field, files_max=files_max, file_max=file_max).files():
        content = b"".join([piece async for piece in file.pieces])
        assert file.size_min <= len(content) <= file.size_max
        found.append((file.filename, file.content_type, content))
    return found
