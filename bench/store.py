"""A store that responds at once, or after a delay: ``python -m bench.store PORT DELAY_MS``.

It implements the part of S3 that a confirm needs, with responses that are prepared at its start. Every staged
object exists, and no ready one does. It stores nothing, and checks no signature, date or condition. It runs in a
process of its own, whose CPU time is not counted.
"""

import asyncio
import sys
from datetime import UTC, datetime

import httptools
import uvloop

from .peers.servers import SIZE, TYPE

CHANGED = datetime.now(UTC).replace(microsecond=0)
DATE = f"{CHANGED:%a, %d %b %Y %H:%M:%S GMT}"
ETAG = '"9b2cf535f27731c974343645a3985328"'
FIRST_BYTES = (b"\xff\xfb\x90\x64".ljust(417, b"\x55") * 40)[:16384]  # the range that the broker requests
XML = {"Content-Type": "application/xml"}
MISSING = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
COPIED = (
    f"<CopyObjectResult><ETag>{ETAG}</ETag><LastModified>{CHANGED:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
    "</CopyObjectResult>"
)


def response(status: str, headers: dict[str, str], body: bytes = b"", length: int | None = None) -> bytes:
    """Return the bytes of a response; ``length`` replaces the length of ``body`` in Content-Length."""
    declared = len(body) if length is None else length
    fields = {"Date": DATE, "Content-Length": str(declared), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


OBJECT = {"Content-Type": TYPE, "ETag": ETAG, "Last-Modified": DATE, "Accept-Ranges": "bytes"}
RANGE = {"Content-Range": f"bytes 0-{len(FIRST_BYTES) - 1}/{SIZE}"}
NO_SUCH_KEY = response("404 Not Found", XML, MISSING)
RESPONSES = {
    (b"HEAD", b"incoming"): response("200 OK", OBJECT, length=SIZE),
    (b"GET", b"incoming"): response("206 Partial Content", {**OBJECT, **RANGE}, FIRST_BYTES),
    (b"HEAD", b"media"): response("404 Not Found", XML),
    (b"PUT", b"media"): response("200 OK", XML, COPIED.encode()),
}


class Store(asyncio.Protocol):
    """One connection, with pipelining. httptools calls the ``on_...`` methods."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a socket
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._path = b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_message_complete(self) -> None:
        _, _, key = self._path.removeprefix(b"/").partition(b"/")
        found = RESPONSES.get((self._parser.get_method(), key.partition(b"/")[0]), NO_SUCH_KEY)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, found)
        else:
            self._transport.write(found)


async def serve(port: int, delay: float) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(lambda: Store(delay), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1_000))
