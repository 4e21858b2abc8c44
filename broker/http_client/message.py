"""Requests to bytes and bytes to responses (RFC 9112). It does no I/O: bytes in, bytes out.

Rules of this module
- However the bytes of a response are split on their way, it is read as the same response or the same failure.
- A body is whole, or cut because the limit was reached; one that ended too early is a failure.
- What is ambiguous is a failure: two lengths, a length beside a coding, a coding that is not ``chunked``, bare or
  folded lines. llhttp refuses most of it, and none of its leniencies is turned on.
- A failure's text is a fixed phrase that names the rule; nothing that came is repeated in it.
- Head, trailers and the framing of chunks are bounded; nothing of a trailer is taken (RFC 9110, section 6.5.1).
- Field names are in lower case. What comes under one name again is joined by a comma (RFC 9110, section 5.3), so what
  may be said once alone, such as an ETag, reads as no such thing when it is said twice.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .http_errors import MalformedResponseError, ServerDisconnectedError

HEAD_MAX: Final = 16 * 1024
"""Bytes of the status line and the fields, those of interim responses counted in; and of framing without a body."""

FIELDS_MAX: Final = 100
ERROR_BODY_MAX: Final = 64 * 1024
"""Bytes of the body of a 4xx or 5xx that are read, whatever the limit."""

NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})

_START: Final = b"HTTP/1."
_END: Final = b"\r\n\r\n"
_WITH_CONTENT: Final = frozenset({"POST", "PUT"})


class Request(NamedTuple):
    """One request; ``limit`` is the bytes of its response's body that are wanted."""

    method: str
    target: str
    fields: Mapping[str, str] = NO_FIELDS
    body: bytes | None = None
    limit: int = 64 * 1024

    def encoded(self, common: Sequence[str]) -> bytes:
        """What is sent; ``common`` is the field lines that every request has. Raises ``ValueError``."""
        body = self.body or b""
        lines = [f"{self.method} {self.target} HTTP/1.1", *common]
        lines += [f"{name}: {value}" for name, value in self.fields.items()]
        if body or self.method in _WITH_CONTENT:  # RFC 9110, section 8.6: 0 says that nothing follows
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""])
        # The end of a line inside of a name or a value would make a field, or a request, of what follows on it.
        if not head.count("\r") == head.count("\n") == len(lines) + 1 or "\0" in head or " " in self.target:
            raise ValueError("a request's fields cannot hold the end of a line")
        return head.encode("ascii") + body


class Response(NamedTuple):
    """One response."""

    status: int
    fields: Mapping[str, str]
    body: bytes


class Reading:
    """Reads the response to one request.

    Once ``feed`` says that it is complete, ``is_reusable`` says whether another may follow on the same connection.
    """

    _parser: HttpResponseParser

    def __init__(self, method: str, limit: int) -> None:
        self._is_head = method == "HEAD"
        self._limit = limit
        self._unparsed = b""
        self._room = HEAD_MAX
        self._status = 0
        self._fields: dict[str, str] = {}
        self._count = 0
        self._body = bytearray()
        self._fed = 0
        self._framing = 0
        self._is_complete = False
        self.is_reusable = True

    def feed(self, data: bytes) -> bool:
        """Take what came; whether the response is complete. Raises ``MalformedResponseError``."""
        if self._status >= 200:
            return self._feed_body(data)
        self._unparsed += data
        while (end := self._end_of_head()) > 0:
            head, self._unparsed = self._unparsed[:end], self._unparsed[end:]
            self._parse_head(head)
            if self._status >= 200:
                return self._begin_body(self._unparsed)
        return False

    def feed_end(self) -> None:
        """The other side closed in order, which ends a body without a length; raises ``ServerDisconnectedError``."""
        if self._status < 200 or not self._fields.keys().isdisjoint(("content-length", "transfer-encoding")):
            raise ServerDisconnectedError
        self._end(is_whole=False)

    @property
    def response(self) -> Response:
        """The response, when it is complete."""
        return Response(self._status, self._fields, bytes(self._body))

    def _end_of_head(self) -> int:
        """Where the first head ends; 0 when it goes on."""
        unparsed = self._unparsed
        end = unparsed.find(_END) + len(_END)
        found = end >= len(_END)
        if not unparsed.startswith(_START[: len(unparsed)]):
            raise MalformedResponseError("the response is not HTTP/1.1")
        if (end if found else len(unparsed)) > self._room:
            raise MalformedResponseError(f"the response head exceeds {HEAD_MAX} bytes")
        return end if found else 0

    def _parse_head(self, head: bytes) -> None:
        self._room -= len(head)
        self._status, self._count, self._fields = 0, 0, {}
        self._is_complete = False
        self._parser = HttpResponseParser(self)
        try:
            self._parser.feed_data(head)
        except HttpParserUpgrade:
            raise MalformedResponseError("the response switches protocols, which was not requested") from None
        except HttpParserError:
            raise MalformedResponseError("the response head is not valid HTTP/1.1") from None
        self._check_head()
        is_kept = "close" not in self._fields.get("connection", "").lower()
        self.is_reusable = is_kept and head.startswith(b"HTTP/1.1")

    def _check_head(self) -> None:
        if self._status < 100:
            raise MalformedResponseError("the status code is less than 100")
        if self._count > FIELDS_MAX:
            raise MalformedResponseError(f"the response has more than {FIELDS_MAX} fields")
        if self._fields.get("transfer-encoding", "chunked").lower() != "chunked":
            raise MalformedResponseError("the Transfer-Encoding is not chunked")

    def _begin_body(self, data: bytes) -> bool:
        if self._status >= 400:
            self._limit = ERROR_BODY_MAX
        if self._is_head or self._is_complete:
            return self._end(is_whole=not data)
        return bool(data) and self._feed_body(data)

    def _feed_body(self, data: bytes) -> bool:
        self._fed += len(data)
        self._framing += len(data)
        is_good = True
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            is_good = False
        if self._is_complete:
            is_chunked = "transfer-encoding" in self._fields
            return self._end(is_whole=is_good and (is_chunked or self._fed == len(self._body)))
        if len(self._body) >= self._limit:
            return self._end(is_whole=False)
        if not is_good:
            raise MalformedResponseError("the chunk framing is invalid")
        if self._framing > HEAD_MAX:
            raise MalformedResponseError(f"the chunk framing exceeds {HEAD_MAX} bytes without content")
        return False

    def _end(self, *, is_whole: bool) -> bool:
        """Complete. Not ``is_whole``: more came, or is to come, and must not answer the next request."""
        self.is_reusable = self.is_reusable and is_whole
        del self._parser  # which holds this
        del self._body[self._limit :]
        return True

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._is_complete:
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:
            return
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode(errors="surrogateescape")
        known = self._fields.get(key)
        self._fields[key] = text if known is None else f"{known}, {text}"
        self._count += 1

    def on_headers_complete(self) -> None:
        if not self._status:
            self._status = self._parser.get_status_code()

    def on_chunk_header(self) -> None:
        self._framing = 0

    def on_body(self, body: bytes) -> None:
        if not self._is_complete:
            self._body += body
            self._framing = 0

    def on_message_complete(self) -> None:
        self._is_complete = True
