"""Clients that send a file in a form as a browser does, of any size, and that may stop anywhere."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.patience import PATIENCE
from tests.small_files import mp3

from .processes import Broker, token

BOUNDARY = "----WebKitFormBoundaryTheTestsOwn1234"
MEDIA = "/api/v1/uploads/media"
BLOCK = mp3(24 * 2048)  # whole frames, so that blocks can follow each other


@dataclass(frozen=True)
class Reply:
    """A response: its status and its JSON document."""

    status: int
    document: Mapping[str, Any]


def file_head(field: str = "file", filename: str = "song.mp3", content_type: str = "audio/mpeg") -> bytes:
    """Return the head of a part with a file."""
    disposition = f'form-data; name="{field}"; filename="{filename}"'
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: {content_type}\r\n\r\n"
    return head.encode()


def text_part(name: str, value: str) -> bytes:
    """Return a part with a field."""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


END = f"--{BOUNDARY}--\r\n".encode()
TAIL = b"\r\n" + text_part("title", "A song") + text_part("createTrack", "true") + END
"""What JamSync's page sends behind its file."""


def content(size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes of MPEG audio."""
    for _ in range(size // len(BLOCK)):
        yield BLOCK
    yield BLOCK[: size % len(BLOCK)]


class FormClient:
    """One request on one connection."""

    def __init__(self, broker: Broker, length: int, *, path: str = MEDIA, subject: str = "user-1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", broker.port), timeout=PATIENCE)
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: broker.example",
            f"Authorization: Bearer {token(subject)}",
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
            f"Content-Length: {length}",
            "Connection: close",
        ]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        """Send bytes; wait while the broker does not read them."""
        self._socket.sendall(data)

    def reply(self) -> Reply:
        """Return the response, which ends the connection."""
        received = b""
        while data := self._socket.recv(1 << 16):
            received += data
        self.close()
        head, _, body = received.partition(b"\r\n\r\n")
        return Reply(int(head.split()[1]), json.loads(body))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


@contextmanager
def form_client(broker: Broker, length: int, **options: str) -> Iterator[FormClient]:
    """Yield a client whose connection ends with the context."""
    client = FormClient(broker, length, **options)
    try:
        yield client
    finally:
        client.close()


def form_length(size: int) -> int:
    """Return the length of JamSync's form with a file of ``size`` bytes."""
    return len(file_head()) + size + len(TAIL)


def upload(broker: Broker, size: int, subject: str = "user-1") -> Reply:
    """Send a file as JamSync's page does, and return the response."""
    with form_client(broker, form_length(size), subject=subject) as client:
        client.send(file_head())
        for block in content(size):
            client.send(block)
        client.send(TAIL)
        return client.reply()
