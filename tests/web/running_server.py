"""The application under uvicorn as ``broker serve`` runs it, in a thread, and a client that sends raw bytes."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

from broker import settings
from broker.server.uvicorn_server import server_options
from broker.service.assembly import assemble
from broker.web.app import create_app
from tests.patience import PATIENCE

from .application import ENVIRONMENT, KEY, UnusedStore, token

GOOD_PATH = f"/api/v1/downloads/{KEY}"
"""The path of a request that succeeds without a call to the store."""


@dataclass(frozen=True)
class Reply:
    """A response as it was received."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the problem document."""
        assert self.fields["content-type"] == "application/problem+json"
        document = json.loads(self.body)
        assert document["status"] == self.status
        assert document["requestId"] == self.fields["x-request-id"]
        return str(document["code"])


class Connection:
    """A connection to the server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes, as far as the server receives them."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)

    def replies(self) -> list[Reply]:
        """Return all replies until the server closes the connection."""
        with contextlib.suppress(ConnectionError):
            while data := self._socket.recv(1 << 16):
                self._buffer += data
        found = []
        while self._buffer:
            found.append(self._next())
        return found

    def reply(self) -> Reply:
        """Return the next reply."""
        while b"\r\n\r\n" not in self._buffer or not self._is_whole():
            data = self._socket.recv(1 << 16)
            assert data, "the server has closed"
            self._buffer += data
        return self._next()

    def is_closed_within(self, seconds: float) -> bool:
        """Return whether the server closes the connection in time."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def _is_whole(self) -> bool:
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        return len(rest) >= int(_fields(head).get("content-length", 0))

    def _next(self) -> Reply:
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        fields = _fields(head)
        length = int(fields.get("content-length", 0)) if status != 100 else 0
        self._buffer = rest[length:]
        return Reply(status, fields, rest[:length])


class RunningServer:
    """A server that runs in a thread for the duration of a ``with`` block."""

    def __init__(
        self, app: ASGIApp | None = None, environment: Mapping[str, str] = ENVIRONMENT, **options: Any
    ) -> None:
        unused: Any = UnusedStore()
        app = app or create_app(assemble(settings.parse(environment), store=unused))
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._socket.getsockname()[1]
        keep_alive = getattr(getattr(app, "state", None), "keep_alive", 75)  # as broker.server.uvicorn_server does
        given = {"timeout_keep_alive": keep_alive, **server_options(), **options}
        self.server = uvicorn.Server(uvicorn.Config(app, **given))
        self.thread = threading.Thread(target=self.server.run, args=([self._socket],))

    def __enter__(self) -> Self:
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
            time.sleep(0.01)  # between two checks
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()

    def connect(self) -> Connection:
        """Return a new connection."""
        return Connection(self.port)

    def replies_to(self, data: bytes) -> list[Reply]:
        """Send ``data`` on a new connection, and return all replies."""
        with self.connect() as connection:
            connection.send(data)
            return connection.replies()

    def responds(self) -> bool:
        """Return whether the server responds to a valid request."""
        (reply,) = self.replies_to(request("GET", GOOD_PATH))
        return reply.status == 200


@contextlib.contextmanager
def running_server(**options: Any) -> Iterator[RunningServer]:
    """Yield a server that must still respond at the end."""
    with RunningServer(**options) as server:
        yield server
        assert server.responds()


def request(method: str, target: str, *fields: str, body: bytes = b"", keep: bool = False) -> bytes:
    """Return a valid request with a user's token, the last on its connection unless ``keep`` is true."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: broker.example",
        f"Authorization: Bearer {token()}",
        *([] if keep else ["Connection: close"]),
        *fields,
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
