"""Reads JSON request bodies: of bounded size, in one media type, with one meaning."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from broker.core import strict_json
from broker.error_texts import JSON_TYPES, Detail, Rule, shown
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
"""Maximum bytes of a request body, unless the endpoint has another limit."""

T = TypeVar("T")

_CONTENT_LENGTH = b"content-length"
_TRANSFER_ENCODING = b"transfer-encoding"
_JSON = b"application/json"
_IN_UTF_8 = (b"", b"charset=utf-8", b'charset="utf-8"')

_MESSAGE = re.compile(r"(.*?)(?: - at `\$([\w.\[\]]*)`)?", re.DOTALL | re.ASCII)
_TYPE = re.compile(r"Expected `(.*)`, got `(\w*)`", re.ASCII)
_TOO_LONG = re.compile(r"Expected `array` of length <= (\d+)", re.ASCII)
_EMPTY = "Expected `array` of length >= 1"
_MISSING = "Object missing required field `"
_UNKNOWN = "Object contains unknown field `"
_ENUM = "Invalid enum value"


async def read_json(request: Request, *, limit: int = BODY_MAX) -> Any:
    """Return the JSON document of the body; raise the error of the first broken rule."""
    return parse(await read(request, limit=limit))


async def read(request: Request, *, limit: int = BODY_MAX) -> bytes:
    """Return the body, which is chunked or has a Content-Length.

    Raises ``LengthRequiredError``, ``UnsupportedBodyError``, ``TooLargeError`` for more than ``limit`` bytes, or
    ``MalformedRequestError``.
    """
    fields = dict(request.scope["headers"])
    length = framed_length(fields)
    _check_form(fields)
    _check_length(length, limit)
    return await _receive(request, limit)


async def _receive(request: Request, limit: int) -> bytes:
    data, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise MalformedRequestError(Detail.BODY_INCOMPLETE)
        data += message.get("body", b"")
        if len(data) > limit:
            raise TooLargeError(Detail.CHUNKED_TOO_LARGE.format(limit=limit))
        more = message.get("more_body", False)
    request_record.add(request.scope, "requestBytes", len(data))
    return bytes(data)


async def read_any(request: Request, *, limit: int) -> bytes:
    """Return a body of any media type, or an empty one; raise ``LengthRequiredError`` or ``TooLargeError``."""
    fields = dict(request.scope["headers"])
    if _CONTENT_LENGTH not in fields and _TRANSFER_ENCODING not in fields:
        return b""
    _check_length(framed_length(fields), limit)
    return await _receive(request, limit)


def parse(data: bytes) -> Any:
    """Return the JSON document in ``data``; raise ``MalformedRequestError``."""
    try:
        return strict_json.parse(data)
    except ValueError as error:
        raise MalformedRequestError(Detail.BODY.format(rule=error)) from None


async def read_optional_json(request: Request) -> Any:
    """Return the JSON document of the body, or an empty object for no body, an empty one, or ``null``."""
    document = await _optional_json(request)
    return {} if document is None else document


async def _optional_json(request: Request) -> Any:
    fields = dict(request.scope["headers"])
    if _TRANSFER_ENCODING not in fields:
        return None if fields.get(_CONTENT_LENGTH, b"0") == b"0" else await read_json(request)
    framed_length(fields)
    data = await _receive(request, BODY_MAX)
    if not data:
        return None
    _check_form(fields)
    return parse(data)


def convert(document: Any, kind: type[T]) -> T:
    """Return ``document`` as ``kind``; raise ``InvalidRequestError`` with the field and the rule."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        fault = _fault(str(error), document)
    raise about(InvalidRequestError, fault)


def framed_length(fields: Mapping[bytes, bytes]) -> bytes | None:
    """Return the Content-Length, ``None`` for a chunked body; raise ``LengthRequiredError`` for any other framing."""
    length, coding = fields.get(_CONTENT_LENGTH), fields.get(_TRANSFER_ENCODING)
    if (length is None) == (coding is None) or coding not in (None, b"chunked"):
        raise LengthRequiredError(Detail.LENGTH_REQUIRED)
    return length


def _check_form(fields: Mapping[bytes, bytes]) -> None:
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedBodyError(Detail.CONTENT_ENCODING)
    given = fields.get(b"content-type", b"")
    if given != _JSON and not _is_json(given):
        raise UnsupportedBodyError(Detail.CONTENT_TYPE)


def _is_json(media_type: bytes) -> bool:
    kind, _, parameters = media_type.lower().partition(b";")
    return kind.strip() == _JSON and parameters.strip() in _IN_UTF_8


def _check_length(length: bytes | None, limit: int) -> None:
    if length is None:
        return
    if not length.isdigit():  # int() would accept signs, blanks and underscores
        raise MalformedRequestError(Detail.CONTENT_LENGTH)
    if len(length) > 9 or int(length) > limit:
        raise TooLargeError(Detail.BODY_TOO_LARGE.format(limit=limit, received=shown(length.decode())))


def _fault(message: str, document: Any) -> Fault:
    """Return the fault for a message of msgspec: ``RULE - at `$.a[0].b``` or ``... field `x` - at `$.a```."""
    rule, path = _MESSAGE.fullmatch(message).groups("")  # type: ignore[union-attr]  # it matches any text
    if message.startswith(_UNKNOWN) and message[len(_UNKNOWN) : -1] in document:
        rule, path = message, ""  # a member's name may have the form of a path: `x` - at `$.files[0]`
    pointer = path.replace("[", "/").replace("]", "").replace(".", "/")
    if rule.startswith(_MISSING):
        return Fault(f"{pointer}/{_quoted(rule)}", Rule.REQUIRED)
    if rule.startswith(_UNKNOWN):
        return Fault(f"{pointer}/{_quoted(rule)}", Rule.UNKNOWN_FIELD)
    if rule.startswith(_ENUM):
        return Fault(pointer, Rule.DISPOSITION)  # the only field with a closed set of values
    return Fault(pointer, _shape(rule))


def _shape(rule: str) -> str:
    """Return the rule of a field's type or length."""
    if match := _TYPE.fullmatch(rule):
        expected = " or ".join(JSON_TYPES.get(name, name) for name in match[1].split(" | "))
        return Rule.JSON_TYPE.format(expected=expected, received=JSON_TYPES.get(match[2], match[2]))
    if match := _TOO_LONG.fullmatch(rule):
        return Rule.ITEMS_MAX.format(limit=match[1])
    return Rule.ITEMS_MIN if rule == _EMPTY else Rule.INVALID


def _quoted(rule: str) -> str:
    """Return the name between back-quotes, cut, and escaped as a reference token of RFC 6901."""
    name = rule.partition("`")[2].removesuffix("`")[:64]
    return "".join(c if c.isprintable() else "?" for c in name).replace("~", "~0").replace("/", "~1")
