"""Requests as bytes on a socket, as no client library would send them, and what came back."""

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
"""Seconds after which nothing more comes for what may be no whole request."""


class Sent(NamedTuple):
    """One request. All text is latin-1, as on the wire."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def with_fields(self, *fields: tuple[str, str]) -> "Sent":
        """Return the request with more header fields."""
        return self._replace(fields=(*self.fields, *fields))

    def raw(self) -> bytes:
        """Return the bytes of the request."""
        length = [] if self.body is None else [("Content-Length", str(len(self.body)))]
        hosts = [] if any(name.lower() == "host" for name, _ in self.fields) else [("Host", "broker.example")]
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{n}: {v}" for n, v in [*hosts, *self.fields, *length])]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (self.body or b"")


class Answer(NamedTuple):
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
        self._hang_up()

    @property
    def sent(self) -> int:
        """The number of requests so far."""
        return self.tally.total()

    def ask(self, request: Sent) -> Answer:
        """Send a request; repeat it once if the broker had closed an idle connection."""
        is_kept = self._socket is not None
        try:
            answer = self._exchange(request)
        except (ConnectionError, http.client.BadStatusLine):  # of which RemoteDisconnected is one
            self._hang_up()
            if not is_kept:
                raise
            answer = self._exchange(request)
        self.tally[str(answer.status)] += 1
        return answer

    def shout(self, raw: bytes) -> list[Answer]:
        """Send any bytes; return the responses until the broker closes the connection or is silent."""
        with self._connect(SILENCE) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(raw)
            answers = list(_split(_heard(connection)))
        self.tally.update([str(answer.status) for answer in answers] or ["none"])
        return answers

    def _exchange(self, request: Sent) -> Answer:
        connection = self._socket = self._socket or self._connect(PATIENCE)
        with contextlib.suppress(ConnectionError):  # it may have answered before it read all
            connection.sendall(request.raw())
        response = http.client.HTTPResponse(connection, method=request.method)
        response.begin()
        answer = _read(response)
        if response.will_close:
            self._hang_up()
        return answer

    def _connect(self, patience: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=patience)

    def _hang_up(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None


def _heard(connection: socket.socket) -> bytes:
    heard = bytearray()
    with contextlib.suppress(ConnectionError, TimeoutError):
        while chunk := connection.recv(65_536):
            heard += chunk
    return bytes(heard)


class _Heard(io.BytesIO):
    """Bytes in the place of a socket, from which responses are read one after the other."""

    def makefile(self, *_: Any) -> Self:
        return self

    def close(self) -> None:
        """Do nothing: a response closes its file, and the next response is still to be read."""


def _split(heard: bytes) -> Iterator[Answer]:
    source: Any = _Heard(heard)
    while source.tell() < len(heard):
        response = http.client.HTTPResponse(source)
        response.begin()
        yield _read(response)


def _read(response: http.client.HTTPResponse) -> Answer:
    fields = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, fields, response.read())
