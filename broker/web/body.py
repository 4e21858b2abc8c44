"""Reads a request's JSON body: bounded in bytes and in time, in one media type, with one meaning."""

import asyncio
import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from broker.core import strict_json
from broker.errors import (
    Fault,
    InvalidRequestError,
    LengthRequiredError,
    MalformedRequestError,
    RequestTimeoutError,
    TooLargeError,
    UnsupportedBodyError,
    about,
)

from . import notes

BODY_MAX = 64 * 1024
"""Bytes of a body."""

BODY_DEADLINE = 10.0
"""Seconds in which a body must have arrived."""

T = TypeVar("T")

# msgspec's words. A name that a client gave stands between back-quotes and may look like a place itself.
_WORDS = re.compile(r"(Object [a-z ]+ field `.*?`|.*?)(?: - at `\$([\w.\[\]]*)`)?", re.DOTALL | re.ASCII)


async def read_json(request: Request, *, limit: int = BODY_MAX) -> Any:
    """The body's JSON document; raises the refusal of the first broken rule."""
    _check_headers(request)
    data = await _read(request, limit)
    try:
        return strict_json.parse(data)
    except ValueError as error:
        raise MalformedRequestError(f"The body {error}.") from None


async def read_optional_json(request: Request) -> Any:
    """Like ``read_json``, and an empty object when the request has no body."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return {}
    return await read_json(request)


def convert(document: Any, kind: type[T]) -> T:
    """``document`` as ``kind``; raises ``InvalidRequestError`` naming the field and the rule."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        fault = _fault(str(error))
    raise about(InvalidRequestError, fault)


def _check_headers(request: Request) -> None:
    headers = request.headers
    if "transfer-encoding" in headers or "content-length" not in headers:
        raise LengthRequiredError("The request must have a Content-Length.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedBodyError("The body must not be compressed.")
    kind, _, parameters = headers.get("content-type", "").lower().partition(";")
    if kind.strip() != "application/json" or parameters.strip() not in (
        "",
        "charset=utf-8",
        'charset="utf-8"',
    ):
        raise UnsupportedBodyError("The body must be application/json in UTF-8.")


async def _read(request: Request, limit: int) -> bytes:
    length = request.headers["content-length"]
    if not (length.isascii() and length.isdigit()):  # int() would take signs, blanks and underscores, too
        raise MalformedRequestError("The Content-Length must be a whole number.")
    if len(length) > 9 or int(length) > limit:
        raise TooLargeError(f"The body must have at most {limit} bytes.")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            async for chunk in request.stream():
                data += chunk
    except TimeoutError:
        raise RequestTimeoutError(f"The body must arrive within {BODY_DEADLINE:.0f} seconds.") from None
    except ClientDisconnect:
        raise MalformedRequestError("The body ended early.") from None
    notes.note(request.scope, requestBytes=len(data))
    return bytes(data)


def _fault(message: str) -> Fault:
    """The pointer and the rule in msgspec's words: ``RULE - at `$.a[0].b``` or ``... field `x` - at `$.a```."""
    rule, path = _WORDS.fullmatch(message).groups("")  # type: ignore[union-attr]  # it matches every text
    pointer = path.replace("[", "/").replace("]", "").replace(".", "/")
    if rule.startswith("Object missing required field"):
        return Fault(f"{pointer}/{_quoted(rule)}", "is required")
    if rule.startswith("Object contains unknown field"):
        return Fault(f"{pointer}/{_quoted(rule)}", "is not a known field")
    if rule.startswith("Invalid enum value"):
        return Fault(pointer, "is none of the values there are")  # msgspec would quote the client's
    return Fault(pointer, rule[:1].lower() + rule[1:].replace("`", ""))


def _quoted(rule: str) -> str:
    """The name between back-quotes, cut and escaped as a reference token of RFC 6901."""
    name = rule.partition("`")[2].removesuffix("`")[:64]
    return "".join(c if c.isprintable() else "?" for c in name).replace("~", "~0").replace("/", "~1")
