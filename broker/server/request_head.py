"""The head of a request: its limits, the fields that frame it, and the ASGI scope that is made from it.

httptools refuses what h11 accepts (bare line feeds, folded lines, a request behind a chunked body), at less than half
its cost. This module refuses what httptools accepts: a head of any size, several Host fields, and every
Transfer-Encoding except ``chunked`` alone, in one spelling, over HTTP/1.1.
"""

import re
from typing import Any, Final
from urllib.parse import unquote

import httptools

from broker.error_texts import Detail, shown
from broker.errors import HeadTooLargeError, LengthRequiredError, MalformedRequestError, TargetTooLongError

from .uvicorn_internals import HttpToolsProtocol

HEAD_MAX: Final = 16 * 1024
"""Maximum bytes of all header fields together."""

FIELDS_MAX: Final = 100
"""Maximum number of header fields of one request."""

TARGET_MAX: Final = 8 * 1024
"""Maximum bytes of a request target."""

_FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_HOST: Final = re.compile(
    rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*"
)  # RFC 9110, section 7.2; URLs in JSON responses may begin with it
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: ?chunked\r\n", re.IGNORECASE)  # no tab, no second blank


class RequestHeadProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on the head of a request.

    httptools calls the methods below as it parses, and passes on the error that one of them raises.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.body_length = 0  # bytes, as declared
        self.is_chunked = self.offers_upgrade = self.is_in_head = False
        self.head = bytearray()  # as received, of a head that arrives in pieces or names a chunked body
        self._field_bytes = self._hosts = 0

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._field_bytes = self._hosts = self.body_length = 0
        self.is_chunked = self.offers_upgrade = False
        self.is_in_head = True

    def on_url(self, url: bytes) -> None:
        """Add a piece of the request target; raise ``TargetTooLongError``."""
        self.url += url
        if len(self.url) > TARGET_MAX:
            raise TargetTooLongError(TARGET_MAX)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field; raise ``HeadTooLargeError`` or ``LengthRequiredError``."""
        name = name.lower()
        self.headers.append((name, value))
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > HEAD_MAX or len(self.headers) > FIELDS_MAX:
            raise HeadTooLargeError(HEAD_MAX, FIELDS_MAX)
        if name in _FRAMING:
            self._read_framing_field(name, value)

    def check_head(self, version: str) -> None:
        """Raise ``MalformedRequestError`` unless version and Host are valid, or ``LengthRequiredError``."""
        if version not in ("1.1", "1.0"):
            raise MalformedRequestError(Detail.HTTP_VERSION.format(received=shown(version)))
        if self._hosts > 1 or self._hosts < (version == "1.1"):
            raise MalformedRequestError(Detail.HOST)  # RFC 9112, section 3.2
        if self.is_chunked and not (version == "1.1" and _CHUNKED.search(self.head)):
            raise LengthRequiredError(Detail.LENGTH_REQUIRED)

    def head_without_upgrade(self, version: str) -> bytes:
        """Return the head that was parsed, as bytes, without its Upgrade fields."""
        request_line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version.encode())
        fields = (b"%b: %b" % field for field in self.headers if field[0] != b"upgrade")
        return b"\r\n".join((request_line, *fields, b"", b""))

    def complete_scope(self, version: str) -> None:
        """Add method, version, path and query to the ASGI scope, which uvicorn began.

        Raises ``MalformedRequestError`` for CONNECT, behind which httptools reads no body and no other request.
        """
        target, scope = httptools.parse_url(self.url), self.scope
        path = target.path.decode("ascii")
        scope["method"] = method = self.parser.get_method().decode("ascii")
        if method == "CONNECT":
            raise MalformedRequestError(Detail.TUNNEL)
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = target.path
        scope["query_string"] = target.query or b""

    def _read_framing_field(self, name: bytes, value: bytes) -> None:
        match name:
            case b"expect":
                self.expect_100_continue |= value.lower() == b"100-continue"
            case b"host":
                self._hosts += 1 if _HOST.fullmatch(value) else 2
            case b"content-length":
                self.body_length = int(value)  # httptools accepts only digits
            case b"upgrade":
                self.offers_upgrade = True
            case _:  # Transfer-Encoding; httptools refuses it beside a Content-Length
                if self.is_chunked or value != b"chunked":
                    raise LengthRequiredError(Detail.LENGTH_REQUIRED)
                self.is_chunked = True
