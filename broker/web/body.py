"""Reads JSON request bodies: of bounded size, in one media type, with one meaning."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from broker.core import strict_json
from broker.errors import (
    Fault,
    InvalidRequestError,
    LengthRequiredError,
    MalformedRequestError,
    TooLargeError,
    UnsupportedBodyError,
    about,
)

from . import request_record

BODY_MAX: Final = 64 * 1024
"""Bytes of a request body, unless the endpoint has another limit."""

T = TypeVar("T")

_JSON = b"application/json"
_IN_UTF_8 = (b"", b"charset=utf-8", b'charset="utf-8"')

_MESSAGE = re.compile(r"(.*?)(?: - at `\$([\w.\[\]]*)`)?", re.DOTALL | re.ASCII)
_UNKNOWN = "Object contains unknown field `"


async def read_json(request: Request, *, limit: int = BODY_MAX) -> Any:
    """Return the JSON document of the body; raises the refusal of the first broken rule."""
    return parse(await read(request, limit=limit))


async def read(request: Request, *, limit: int = BODY_MAX) -> bytes:
    """Return the body.

    Raises ``LengthRequiredError``, ``UnsupportedBodyError``, ``TooLargeError`` for more than ``limit`` bytes, or
    ``MalformedRequestError``.
    """
    fields = dict(request.scope["headers"])
    _check_form(fields)
    _check_length(fields[b"content-length"], limit)
    pieces, more = [], True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise MalformedRequestError("The body ended early.")
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    data = b"".join(pieces)
    request_record.add(request.scope, "requestBytes", len(data))
    return data


def parse(data: bytes) -> Any:
    """Return the JSON document in ``data``; raises ``MalformedRequestError``."""
    try:
        return strict_json.parse(data)
    except ValueError as error:
        raise MalformedRequestError(f"The body {error}.") from None


async def read_optional_json(request: Request) -> Any:
    """Return the JSON document of the body, or an empty object for a request without a body."""
    fields = dict(request.scope["headers"])
    if fields.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in fields:
        return {}
    return await read_json(request)


def convert(document: Any, kind: type[T]) -> T:
    """Return ``document`` as ``kind``; raises ``InvalidRequestError`` with the field and the rule."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        fault = _fault(str(error), document)
    raise about(InvalidRequestError, fault)


def _check_form(fields: Mapping[bytes, bytes]) -> None:
    if b"transfer-encoding" in fields or b"content-length" not in fields:
        raise LengthRequiredError("The request must have a Content-Length.")
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedBodyError("The body must not be compressed.")
    given = fields.get(b"content-type", b"")
    if given != _JSON and not _is_json(given):
        raise UnsupportedBodyError("The body must be application/json in UTF-8.")


def _is_json(media_type: bytes) -> bool:
    kind, _, parameters = media_type.lower().partition(b";")
    return kind.strip() == _JSON and parameters.strip() in _IN_UTF_8


def _check_length(length: bytes, limit: int) -> None:
    if not length.isdigit():  # int() would accept signs, blanks and underscores
        raise MalformedRequestError("The Content-Length must be a whole number.")
    if len(length) > 9 or int(length) > limit:
        raise TooLargeError(f"The body must have at most {limit} bytes.")


def _fault(message: str, document: Any) -> Fault:
    """Parse msgspec's message: ``RULE - at `$.a[0].b```, or ``... field `x` - at `$.a```."""
    rule, path = _MESSAGE.fullmatch(message).groups("")  # type: ignore[union-attr]  # it matches any text
    if message.startswith(_UNKNOWN) and message[len(_UNKNOWN) : -1] in document:
        rule, path = message, ""  # a member's name may look like a path: `x` - at `$.files[0]`
    pointer = path.replace("[", "/").replace("]", "").replace(".", "/")
    if rule.startswith("Object missing required field"):
        return Fault(f"{pointer}/{_quoted(rule)}", "is required")
    if rule.startswith(_UNKNOWN):
        return Fault(f"{pointer}/{_quoted(rule)}", "is not a known field")
    if rule.startswith("Invalid enum value"):
        return Fault(pointer, "is none of the values there are")  # msgspec would quote the received value
    return Fault(pointer, rule[:1].lower() + rule[1:].replace("`", ""))


def _quoted(rule: str) -> str:
    """Return the name between back-quotes, cut, and escaped as a reference token of RFC 6901."""
    name = rule.partition("`")[2].removesuffix("`")[:64]
    return "".join(c if c.isprintable() else "?" for c in name).replace("~", "~0").replace("/", "~1")
