"""The network of a browser: an HTTP proxy that limits the upload speed, refuses connections and counts bytes.

Browsers can do the same by themselves, each in another way and not each of them. The proxy is the same for all.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.faults.threaded import ThreadedServer

CHUNK = 64 * 1024
_GONE = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, OSError)


@dataclass
class Sent:
    """A request of the browser, and the bytes of its body that have been sent."""

    method: str
    url: str
    body: int = 0


class Network(ThreadedServer):
    """A forward proxy for ``http`` URLs; every request has a connection of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.bytes_per_second: float | None = None
        """The upload speed of all requests together; None is unlimited."""
        self.is_offline = False
        self.scripts: dict[str, bytes] = {}
        """The source of scripts by their URLs: the proxy responds to these requests itself."""
        self._free_at = 0.0

    def body_of(self, method: str, url: str) -> int:
        """Return the bytes of the longest body that was sent with this method and URL."""
        return max((one.body for one in self.sent if (one.method, one.url) == (method, url)), default=0)

    def cut(self) -> None:
        """Go offline: end all connections, and refuse new ones."""
        self.is_offline = True
        for writer in list(self._connections.values()):
            self._loop.call_soon_threadsafe(writer.transport.abort)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(*_GONE):
                head = await reader.readuntil(b"\r\n\r\n")
                if not self.is_offline:
                    await self._exchange(head, reader, writer)
        finally:
            writer.transport.abort()

    async def _exchange(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _, fields = head.partition(b"\r\n")
        method, url, version = line.decode().split(" ")
        if script := self.scripts.get(url):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nConnection: close\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(script), script))
            writer.close()
            await writer.wait_closed()
            return
        target = urlsplit(f"//{url}" if method == "CONNECT" else url)
        path = f"{target.path or '/'}{'?' + target.query if target.query else ''}"
        origin, upstream = await asyncio.open_connection(target.hostname, target.port or 80)
        try:
            if method == "CONNECT":  # Playwright's own requests, for Route.fetch
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await self._pass(reader, writer, origin, upstream, Sent(method, url))
                return
            kept = [one for one in fields.split(b"\r\n") if not one.lower().startswith((b"connection:", b"proxy-"))]
            upstream.write(f"{method} {path} {version}\r\nConnection: close\r\n".encode() + b"\r\n".join(kept))
            sent = Sent(method, url)
            self.sent.append(sent)
            await self._pass(reader, writer, origin, upstream, sent)
        finally:
            upstream.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        origin: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        sent: Sent,
    ) -> None:
        """Pass all bytes in both directions until the origin ends its response."""
        upload = asyncio.create_task(self._upload(reader, upstream, sent))
        try:
            while chunk := await origin.read(CHUNK):
                writer.write(chunk)
                await writer.drain()
        finally:
            upload.cancel()
        writer.close()
        await writer.wait_closed()

    async def _upload(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, sent: Sent) -> None:
        """Send the body; a client that closes its connection closes the one to the origin."""
        with contextlib.suppress(*_GONE):
            while chunk := await reader.read(self._chunk()):
                await self._turn(len(chunk))
                upstream.write(chunk)
                await upstream.drain()
                sent.body += len(chunk)
        upstream.transport.abort()

    def _chunk(self) -> int:
        """Return the bytes that are sent at once: 20 times in a second, if they are few."""
        return CHUNK if self.bytes_per_second is None else min(CHUNK, max(1, int(self.bytes_per_second / 20)))

    async def _turn(self, size: int) -> None:
        """Wait until ``size`` bytes may be sent."""
        if self.bytes_per_second is None:
            self._free_at = 0.0
            return
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + size / self.bytes_per_second
        await asyncio.sleep(self._free_at - loop.time())
