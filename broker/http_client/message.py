"""HTTP/1.1 messages (RFC 9112): requests to bytes, bytes to responses. This module does no I/O.

Rules of this module
- The result does not depend on how the bytes of a response are split: it is the same response or the same error.
- A body is complete, or cut at the limit of the request. A body that ends too early is an error.
- An ambiguous response is an error: two lengths, a length with a transfer coding, a coding other than ``chunked``, bare
  or folded lines. llhttp rejects most of these, as its lenient flags are not set.
- The text of an error is a fixed phrase that names the rule. It never quotes the response.
- The size of the head, the trailers and the chunk framing is bounded. Trailers are ignored (RFC 9110 section 6.5.1).
- Field names are in lower case. Repeated fields are joined with a comma (RFC 9110 section 5.3), so a field that must
  occur once, such as an ETag, is invalid when it is repeated.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .http_errors import MalformedResponseError, ServerDisconnectedError

RESPONSE_HEAD_MAX: Final = 16 * 1024
"""Maximum bytes of the status line and the header fields, including those of interim responses (1xx).

The same limit holds for chunk framing that is not followed by content.
"""

RESPONSE_FIELDS_MAX: Final = 100
"""Maximum number of header fields of a response."""

ERROR_BODY_MAX: Final = 64 * 1024
"""Maximum bytes that are read of the body of a 4xx or 5xx response. This replaces the limit of the request."""

NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})
"""No header fields."""

_VERSION_PREFIX: Final = b"HTTP/1."
_HEAD_END: Final = b"\r\n\r\n"
_WITH_CONTENT: Final = frozenset({"POST", "PUT"})


class BodyStream(NamedTuple):
    """A request body of exactly ``length`` bytes that is not in memory as a whole.

    ``pieces`` begins to produce it. ``patience`` is the number of seconds in which the server must read on, and in
    which it must respond at the end.
    """

    length: int
    pieces: Callable[[], AsyncGenerator[bytes]]
    patience: float


class Request(NamedTuple):
    """One request. ``limit`` is the maximum number of bytes to read of the response body.

    A ``stream`` replaces the ``body``.
    """

    method: str
    target: str
    fields: Mapping[str, str] = NO_FIELDS
    body: bytes | None = None
    limit: int = 64 * 1024
    stream: BodyStream | None = None

    def encoded(self, common: Sequence[str]) -> bytes:
        """Encode the request, with the ``common`` field lines of all requests; raise ``ValueError`` for line breaks.

        A streamed body is not part of the result.
        """
        body = self.body or b""
        lines = [f"{self.method} {self.target} HTTP/1.1", *common]
        lines += [f"{name}: {value}" for name, value in self.fields.items()]
        if body or self.method in _WITH_CONTENT:  # RFC 9110 section 8.6: Content-Length: 0 for an empty body
            lines.append(f"Content-Length: {self.stream.length if self.stream else len(body)}")
        head = "\r\n".join([*lines, "", ""])
        # A line break in a target, a name or a value would start a new field or request (CWE-93).
        if not head.count("\r") == head.count("\n") == len(lines) + 1 or "\0" in head or " " in self.target:
            raise ValueError("a request must not contain line breaks, NUL or a space in its target")
        return head.encode("ascii") + body


class Response(NamedTuple):
    """One response, with its header fields by their names in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes


class ResponseParser:
    """Parses the response to one request.

    Once ``feed`` has returned true, ``is_reusable`` is whether the connection may carry another request.
    """

    _parser: HttpResponseParser

    def __init__(self, method: str, limit: int) -> None:
        self._is_head = method == "HEAD"
        self._limit = limit
        self._unparsed = b""
        self._head_room = RESPONSE_HEAD_MAX
        self._status = 0
        self._fields: dict[str, str] = {}
        self._count = 0
        self._body = bytearray()
        self._body_fed = 0
        self._framing = 0
        self._is_complete = False
        self.is_reusable = True

    def feed(self, data: bytes) -> bool:
        """Parse more bytes, and return whether the response is complete; raise ``MalformedResponseError``."""
        if self._status >= 200:
            return self._feed_body(data)
        self._unparsed += data
        while (end := self._end_of_head()) > 0:
            head, self._unparsed = self._unparsed[:end], self._unparsed[end:]
            self._parse_head(head)
            if self._status >= 200:
                return self._start_body(self._unparsed)
        return False

    def feed_eof(self) -> None:
        """Handle the end of the stream, which completes a body without a length; raise ``ServerDisconnectedError``."""
        if self._status < 200 or not self._fields.keys().isdisjoint(("content-length", "transfer-encoding")):
            raise ServerDisconnectedError
        self._finish(is_clean=False)

    @property
    def response(self) -> Response:
        """The complete response."""
        return Response(self._status, self._fields, bytes(self._body))

    def _end_of_head(self) -> int:
        """Return the offset of the end of the first head; 0 if it is incomplete."""
        unparsed = self._unparsed
        end = unparsed.find(_HEAD_END) + len(_HEAD_END)
        found = end >= len(_HEAD_END)
        if not unparsed.startswith(_VERSION_PREFIX[: len(unparsed)]):
            raise MalformedResponseError("the response is not HTTP/1.1")
        if (end if found else len(unparsed)) > self._head_room:
            raise MalformedResponseError(f"the response head exceeds {RESPONSE_HEAD_MAX} bytes")
        return end if found else 0

    def _parse_head(self, head: bytes) -> None:
        self._head_room -= len(head)
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
        is_persistent = "close" not in self._fields.get("connection", "").lower()
        self.is_reusable = is_persistent and head.startswith(b"HTTP/1.1")

    def _check_head(self) -> None:
        if self._status < 100:
            raise MalformedResponseError("the status code is less than 100")
        if self._count > RESPONSE_FIELDS_MAX:
            raise MalformedResponseError(f"the response has more than {RESPONSE_FIELDS_MAX} fields")
        if self._fields.get("transfer-encoding", "chunked").lower() != "chunked":
            raise MalformedResponseError("the Transfer-Encoding is not chunked")

    def _start_body(self, data: bytes) -> bool:
        if self._status >= 400:
            self._limit = ERROR_BODY_MAX
        if self._is_head or self._is_complete:
            return self._finish(is_clean=not data)
        return bool(data) and self._feed_body(data)

    def _feed_body(self, data: bytes) -> bool:
        self._body_fed += len(data)
        self._framing += len(data)
        is_valid = True
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            is_valid = False
        if self._is_complete:
            is_chunked = "transfer-encoding" in self._fields
            return self._finish(is_clean=is_valid and (is_chunked or self._body_fed == len(self._body)))
        if len(self._body) >= self._limit:
            return self._finish(is_clean=False)
        if not is_valid:
            raise MalformedResponseError("the chunk framing is invalid")
        if self._framing > RESPONSE_HEAD_MAX:
            raise MalformedResponseError(f"the chunk framing exceeds {RESPONSE_HEAD_MAX} bytes without content")
        return False

    def _finish(self, *, is_clean: bool) -> bool:
        """Complete the response. Without ``is_clean`` the connection ends, as more bytes may follow on it."""
        self.is_reusable = self.is_reusable and is_clean
        del self._parser  # breaks the reference cycle of parser and callbacks
        del self._body[self._limit :]
        return True

    # Callbacks of HttpResponseParser.

    def on_message_begin(self) -> None:
        """Detect a second response, after which the connection must not be reused."""
        if self._is_complete:
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field. Trailer fields, which follow the status, are ignored."""
        if self._status:
            return
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode(errors="surrogateescape")
        known = self._fields.get(key)
        self._fields[key] = text if known is None else f"{known}, {text}"
        self._count += 1

    def on_headers_complete(self) -> None:
        """Store the status code of the first head."""
        if not self._status:
            self._status = self._parser.get_status_code()

    def on_chunk_header(self) -> None:
        """Restart the count of framing bytes."""
        self._framing = 0

    def on_body(self, body: bytes) -> None:
        """Append to the body, and restart the count of framing bytes."""
        if not self._is_complete:
            self._body += body
            self._framing = 0

    def on_message_complete(self) -> None:
        """Mark the response as complete."""
        self._is_complete = True
