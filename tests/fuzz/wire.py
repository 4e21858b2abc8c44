"""Requests as bytes on a socket, which no client library would send, and their responses."""

import contextlib
import http.client
import io
import socket
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.patience import PATIENCE

SILENCE = 0.3
"""Seconds without a byte after which no response is expected: the request may be incomplete."""


class Sent(NamedTuple):
    """One request. All text is latin-1, as on the wire.

    With ``chunk`` the body is sent in chunks of as many bytes, otherwise with its length.
    """

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    chunk: int = 0

    def with_fields(self, *fields: tuple[str, str]) -> "Sent":
        """Return the request with more header fields."""
        return self._replace(fields=(*self.fields, *fields))

    def raw(self) -> bytes:
        """Return the bytes of the request."""
        body = self.body or b""
        length = [] if self.body is None else [("Content-Length", str(len(body)))]
        if self.chunk:
            pieces = [body[at : at + self.chunk] for at in range(0, len(body), self.chunk)]
            body = b"".join(b"%x;x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
            length, body = [("Transfer-Encoding", "chunked")], body + b"0\r\nX-Trailer: x\r\n\r\n"
        hosts = [] if any(name.lower() == "host" for name, _ in self.fields) else [("Host", "broker.example")]
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{n}: {v}" for n, v in [*hosts, *self.fields, *length])]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Response(NamedTuple):
    """One response; field names are in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


class Wire:
    """One connection at a time to a broker; ``tally`` counts all responses by status."""

    def __init__(self, port: int) -> None:
        self.tally: Counter[str] = Counter()
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._disconnect()

    @property
    def sent(self) -> int:
        """The number of requests so far."""
        return self.tally.total()

    def send(self, request: Sent) -> Response:
        """Send a request; repeat it once if the broker had closed an idle connection."""
        is_kept = self._socket is not None
        try:
            response = self._exchange(request)
        except (ConnectionError, http.client.BadStatusLine):  # RemoteDisconnected is a BadStatusLine
            self._disconnect()
            if not is_kept:
                raise
            response = self._exchange(request)
        self.tally[str(response.status)] += 1
        return response

    def send_raw(self, raw: bytes) -> list[Response]:
        """Send any bytes; return the responses until the broker closes the connection or is silent."""
        with self._connect(SILENCE) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(raw)
            responses = list(_split(_received(connection)))
        self.tally.update([str(response.status) for response in responses] or ["none"])
        return responses

    def _exchange(self, request: Sent) -> Response:
        connection = self._socket = self._socket or self._connect(PATIENCE)
        with contextlib.suppress(ConnectionError):  # it may respond before it has read the request
            connection.sendall(request.raw())
        response = http.client.HTTPResponse(connection, method=request.method)
        response.begin()
        found = _read(response)
        if response.will_close:
            self._disconnect()
        return found

    def _connect(self, timeout: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=timeout)

    def _disconnect(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None


def _received(connection: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionError, TimeoutError):
        while chunk := connection.recv(65_536):
            received += chunk
    return bytes(received)


class _ByteSource(io.BytesIO):
    """Bytes in the place of a socket, from which responses are read one after the other."""

    def makefile(self, *_: Any) -> Self:
        return self

    def close(self) -> None:
        """Do nothing: a response closes its file, and the next response is still to be read."""


def _split(received: bytes) -> Iterator[Response]:
    source: Any = _ByteSource(received)
    while source.tell() < len(received):
        response = http.client.HTTPResponse(source)
        response.begin()
        yield _read(response)


def _read(response: http.client.HTTPResponse) -> Response:
    fields = {name.lower(): value for name, value in response.getheaders()}
    return Response(response.status, fields, response.read())
