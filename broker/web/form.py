"""Reads the files of a multipart/form-data body (RFC 7578) while it arrives.

Rules of this module
- Nothing is read before the request is authenticated, and no faster than the files are stored.
- Everything but the bytes of the files is bounded: all of it together, the number of parts, and the head of each part.
  So the length of a form with one file gives the least size of the file, before the file has arrived.
- Fields may come in any order. Other fields than that of the files are read and ignored.
- A body has a deadline and a least rate. Only the time in which the broker waits for the client counts for the rate.
- The text of an error never quotes the form.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header
from starlette.requests import Request

from broker.core.limits import OBJECT_MAX
from broker.error_texts import Detail, Rule, shown
from broker.errors import (
    Fault,
    InvalidRequestError,
    MalformedRequestError,
    RequestTimeoutError,
    TooLargeError,
    UnsupportedBodyError,
    about,
)
from broker.service.proxied_uploads import ArrivingFile

from . import request_record
from .body import framed_length

OVERHEAD_MAX: Final = 64 * 1024
"""Maximum bytes of a form besides its files: other fields, the heads of all parts, and the boundaries."""

PARTS_MAX: Final = 100
"""Maximum number of parts of a form."""

FORM_DEADLINE: Final = 3600.0
"""Seconds in which a form must arrive."""

RATE_MIN: Final = 16 * 1024
"""Bytes a second at which a form must arrive."""

RATE_GRACE: Final = 20.0
"""Seconds of waiting for the client that the least rate forgives."""

_BOUNDARY: Final = re.compile(r"[ -~]{1,200}")
# Many clients leave a boundary such as ===123=== without the quotes that it needs (RFC 2045, section 5.1)
_UNQUOTED: Final = re.compile(r'; *boundary=([^\s";]+) *(?:;|$)', re.ASCII | re.IGNORECASE)
_PLAIN: Final = frozenset({"", "binary", "8bit", "7bit"})
# Python keeps the name of every encoding for ever (encodings/__init__.py): only those of RFC 8187 and its forerunner
_QUOTED: Final = re.compile(r'"(?:\\.|[^\\"])*"?')  # one without an end, too: so no byte is read twice
_EXTENDED: Final = re.compile(r"; *filename\* *= *(utf-8|iso-8859-1)'[^']{0,40}'([^\s;]+)", re.ASCII | re.IGNORECASE)


class Form:
    """The form in the body of ``request``, with up to ``files_max`` files of ``file_max`` bytes in the field ``field``.

    The constructor reads nothing. It raises ``LengthRequiredError``, ``MalformedRequestError``,
    ``UnsupportedBodyError`` or ``TooLargeError`` for header fields that exclude such a form.
    """

    def __init__(self, request: Request, field: str, *, files_max: int, file_max: int) -> None:
        self._request = request
        self._field = field
        self._files_max = files_max
        self._received = self._in_files = 0
        fields = dict(request.scope["headers"])
        self._is_empty = fields.keys().isdisjoint((b"content-length", b"transfer-encoding"))
        length = None if self._is_empty else framed_length(fields)
        if self._is_empty or length == b"0":
            self._is_empty = True
            return
        self._length = None if length is None else _checked_length(length, files_max * file_max + OVERHEAD_MAX)
        if fields.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedBodyError(Detail.CONTENT_ENCODING)
        self._boundary = _boundary(fields.get(b"content-type", b""))

    async def files(self) -> AsyncGenerator[ArrivingFile]:
        """Yield each file, whose pieces must be read before the next; raise the error of the first broken rule."""
        if self._is_empty:
            return
        count = 0
        async with aclosing(self._events()) as events:
            async for event in events:
                is_head = isinstance(event, MultipartSegment) and event.name == self._field
                if is_head and (filename := _filename(event)):
                    count += 1
                    self._check_count(count)
                    _check_encoding(event)
                    yield self._arriving(event, filename, events)
        request_record.add(self._request.scope, "requestBytes", self._received)

    def _arriving(self, head: MultipartSegment, filename: str, events: AsyncIterator[object]) -> ArrivingFile:
        is_alone = self._files_max == 1 and self._length is not None
        size_min = max(self._length - OVERHEAD_MAX, 0) if is_alone and self._length else 0
        pieces = self._pieces(events, size_min)
        declared = _decoded(head.header("Content-Type", ""))
        return ArrivingFile(self._field, filename, declared, size_min, self._length or OBJECT_MAX, pieces)

    async def _pieces(self, events: AsyncIterator[object], size_min: int) -> AsyncGenerator[bytes]:
        """Yield the bytes of a part up to its end."""
        size = 0
        while isinstance(piece := await anext(events), bytes):
            size += len(piece)
            self._in_files += len(piece)
            yield piece
        if size < size_min:
            raise _over_the_limits()

    async def _events(self) -> AsyncGenerator[MultipartSegment | bytes | None]:
        """Yield the head of each part, the pieces of its body, and ``None`` at its end."""
        # Heads are decoded later: their encoding is unknown, and Latin-1 loses no byte
        parser = PushMultipartParser(self._boundary, max_segment_count=PARTS_MAX, header_charset="latin-1")
        try:
            async with aclosing(self._body()) as body:
                async for data in body:
                    for event in parser.parse(data):
                        yield event
                    if self._received - self._in_files > OVERHEAD_MAX:
                        raise _over_the_limits()
            parser.close()
        except ParserLimitReached:
            raise _over_the_limits() from None
        except MultipartError:
            raise MalformedRequestError(Detail.FORM) from None

    async def _body(self) -> AsyncGenerator[bytes]:
        """Yield the pieces of the body, none of which is empty."""
        self._request.scope["broker.body_seconds"] = FORM_DEADLINE  # read by broker.server, which has a shorter one
        clock = asyncio.get_running_loop().time
        end, waited, more = clock() + FORM_DEADLINE, 0.0, True
        while more:
            started = clock()
            latest = started + RATE_GRACE + self._received / RATE_MIN - waited
            try:
                async with asyncio.timeout_at(min(end, latest)):
                    message = await self._request.receive()
            except TimeoutError:
                text = Detail.FORM_TIMEOUT.format(seconds=round(FORM_DEADLINE), rate=RATE_MIN)
                raise RequestTimeoutError(text) from None
            waited += clock() - started
            if message["type"] == "http.disconnect":
                raise MalformedRequestError(Detail.BODY_INCOMPLETE)
            more = message.get("more_body", False)
            if data := message.get("body", b""):
                self._received += len(data)
                yield data

    def _check_count(self, count: int) -> None:
        if count > self._files_max:
            rule = Rule.PARAMETER_REPEATED if self._files_max == 1 else Rule.ITEMS_MAX.format(limit=self._files_max)
            raise about(InvalidRequestError, Fault(f"/{self._field}", rule))


def _checked_length(length: bytes, limit: int) -> int:
    if not length.isdigit():  # int() would accept signs, blanks and underscores
        raise MalformedRequestError(Detail.CONTENT_LENGTH)
    if len(length) > 18 or int(length) > limit:
        raise TooLargeError(Detail.BODY_TOO_LARGE.format(limit=limit, received=shown(length.decode())))
    return int(length)


def _boundary(content_type: bytes) -> str:
    """Return the boundary; raise ``UnsupportedBodyError`` for another type, or one without a boundary."""
    text = content_type.decode("latin-1")
    kind, options = parse_options_header(text)
    unquoted = _UNQUOTED.search(_QUOTED.sub('""', text))
    boundary: str = unquoted[1] if unquoted else options.get("boundary", "")
    if kind != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise UnsupportedBodyError(Detail.FORM_TYPE)
    return boundary


def _filename(head: MultipartSegment) -> str:
    """Return the file name of a part: in UTF-8, in Latin-1, or as RFC 8187 encodes it; empty if there is none."""
    disposition = head.header("Content-Disposition", "")
    if extended := _EXTENDED.search(_QUOTED.sub('""', disposition)):
        try:
            return unquote(extended[2], encoding=extended[1], errors="strict")
        except ValueError:  # not in its encoding
            pass
    return _decoded(head.filename or "")


def _check_encoding(head: MultipartSegment) -> None:
    """Raise ``UnsupportedBodyError`` for a file in base64 or quoted-printable, which is deprecated (RFC 7578, 4.7)."""
    encoding = head.header("Content-Transfer-Encoding", "binary").strip().lower()
    if encoding not in _PLAIN:
        raise UnsupportedBodyError(Detail.FORM_ENCODING)


def _decoded(text: str) -> str:
    """Return a text that was decoded as Latin-1 in its true encoding."""
    data = text.encode("latin-1")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return text


def _over_the_limits() -> TooLargeError:
    return TooLargeError(Detail.FORM_LIMITS.format(limit=OVERHEAD_MAX, parts=PARTS_MAX))
