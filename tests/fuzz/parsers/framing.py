"""``HttpProtocol``: the bytes of a connection become the same requests however they arrive, and no others.

The first byte of an input is the place where the rest is cut in two.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import uvicorn
from uvicorn.server import ServerState

from broker.server.protocol import HttpProtocol
from broker.server.uvicorn_server import server_options

HEAD = b"POST /a HTTP/1.1\r\nHost: b\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"2\r\n{}\r\n1;x=y\r\na\r\n0\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: b\r\n\r\n"
SEEDS = [
    *(b"\x10" + HEAD + b"Content-Length: 2\r\n" + more + b"\r\n{}" + NEXT for more in (b"", UPGRADE)),
    *(b"\x50" + HEAD + CHUNKED + more + b"\r\n" + CHUNKS + NEXT for more in (b"", UPGRADE)),
    b"\x60" + HEAD + CHUNKED + b"\r\n0\r\nAuthorization: x\r\nHost: c\r\n\r\n" + NEXT,
    b"\x20" + NEXT.replace(b"\r\n\r\n", b"\r\n" + UPGRADE + b"\r\n") * 3,
    b"\x20" + HEAD + CHUNKED + b"Content-Length: 5\r\n\r\n" + CHUNKS + NEXT,
    b"\x20" + HEAD + CHUNKED.replace(b" ", b"\t") + b"\r\n" + CHUNKS + NEXT,
    b"\x20" + HEAD + CHUNKED * 2 + b"\r\n" + CHUNKS + NEXT,
    b"\x20" + HEAD.replace(b"/1.1", b"/1.0") + CHUNKED + b"\r\n" + CHUNKS + NEXT,
    b"\x20" + HEAD + UPGRADE + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}" + NEXT,
    b"\x20CONNECT b:443 HTTP/1.1\r\nHost: b\r\n" + UPGRADE + b"\r\n" + NEXT,
    b"\x70" + HEAD + CHUNKED + b"\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n" + NEXT * 2,
]
WORDS = [
    *(HEAD, UPGRADE, CHUNKED, CHUNKS, NEXT, b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\t", b" ", b":", b";", b"0\r\n\r\n"),
    *(
        b"Content-Length: 2\r\n",
        b"Connection: close\r\n",
        b"Upgrade: x\r\n",
        b"Trailer: x\r\n",
        b"chunked",
        b", chunked",
    ),
    *(b"HTTP/1.0", b"GET ", b"CONNECT ", b"f" * 17, b"e" * 300, b"\x00", b"\xff", b"Expect: 100-continue\r\n"),
]

_LINE = re.compile(rb"([A-Z-]+) +([!-~\x80-\xff]+) +HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_SIZE = re.compile(rb"([0-9a-fA-F]+)(?:;[^\r\n]*)?")


class Request(NamedTuple):
    """One request whose body is complete."""

    method: bytes
    target: bytes
    body: bytes


class _Anything:
    """A transport, a loop and a timer that do nothing."""

    def __getattr__(self, name: str) -> Any:
        return self._nothing

    def _nothing(self, *_: Any, **__: Any) -> Any:
        return _Anything()

    def time(self) -> float:
        """Return a time."""
        return 0.0

    def is_closing(self) -> bool:
        """Return that the connection is open."""
        return False

    def get_extra_info(self, _name: str) -> None:
        """Return no information."""


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Do nothing; no request is started."""


_CONFIG = uvicorn.Config(_application, **{**server_options(), "limit_concurrency": None, "lifespan": "off"})


class _Protocol(HttpProtocol):
    """The protocol, which keeps the requests that it would start."""

    def __init__(self) -> None:
        anything: Any = _Anything()
        super().__init__(_CONFIG, ServerState(), {}, anything)
        self.started: list[tuple[Any, bytes]] = []
        self.connection_made(anything)

    def _request_cycle(self, version: str) -> Any:
        cycle = super()._request_cycle(version)
        self.started.append((cycle, self.url))
        return cycle

    def _start_asgi_task(self, *_: Any) -> None:
        """Start nothing."""


def check(data: bytes) -> None:
    """Check the rules for any bytes on a connection."""
    place, sent = data[0] if data else 0, data[1:]
    whole = _read([sent])
    assert whole == _read([sent[:place], sent[place:]])
    assert whole == _read([sent[at : at + 1] for at in range(len(sent))])
    requests = [request for request, is_complete, *_ in whole[0] if is_complete]
    assert requests == [request for request, _ in zip(_read_again(sent), requests, strict=False)], (requests, sent)


def _read(packets: list[bytes]) -> tuple[list[tuple[Request, bool, bool, int]], bool]:
    """Return the requests that the protocol reads from the packets, and whether it has stopped to read."""
    protocol = _Protocol()
    for packet in packets:
        if packet:
            protocol.data_received(packet)
    found = []
    for cycle, target in protocol.started:
        request = Request(cycle.scope["method"].encode(), target, bytes(cycle.body))
        error = cycle._body_error
        found.append((request, not cycle.more_body, cycle.keep_alive, error.status if error else 0))
    return found, protocol.is_ending


def _read_again(data: bytes) -> Iterator[Request]:
    """Yield the requests by a second reading of RFC 9112, until one breaks a rule."""
    while data := data.lstrip(b"\r\n"):
        head, end, data = data.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        match, fields = _LINE.fullmatch(line), [_FIELD.fullmatch(each) for each in lines]
        if not (end and match and all(fields)):
            return
        names = [(field[1].lower(), field[2]) for field in fields if field]
        lengths = [value.strip(b" \t") for name, value in names if name == b"content-length"]
        codings = [value for name, value in names if name == b"transfer-encoding"]
        if len(lengths) + len(codings) > 1 or any(value not in (b"chunked", b" chunked") for value in codings):
            return
        if codings:
            found = _chunked(data) if match[3] == b"1" else None
        else:
            size = int(lengths[0]) if lengths and lengths[0].isdigit() else 0
            found = (data[:size], data[size:]) if len(data) >= size else None
        if found is None:
            return
        body, data = found
        yield Request(match[1], match[2], body)


def _chunked(data: bytes) -> tuple[bytes, bytes] | None:
    """Return a chunked body and the bytes behind it, or ``None``."""
    body = b""
    while True:
        line, end, data = data.partition(b"\r\n")
        match = _SIZE.fullmatch(line)
        if not (end and match):
            return None
        size = int(match[1], 16)
        if size == 0:
            break
        body, data = body + data[:size], data[size:]
        if not data.startswith(b"\r\n"):
            return None
        data = data[2:]
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return None
        if not line:
            return body, data
