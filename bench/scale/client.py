"""An HTTP client for load tests: it never retries, and reports the outcome of every request.

It keeps connections and reuses the most recently used one first. The number of connections is not limited: in an open
loop the server determines how many requests are in flight.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httptools

from bench.wrk import Request

LOST = 0
"""The status of a request without a response: the connection failed or was closed."""

TIMED_OUT = -1
"""The status of a request without a response within the client's timeout."""

TIMEOUT = 10.0  # seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one request, with the instants of its beginning and end (``time.monotonic``)."""

    status: int
    body: bytes
    sent: float
    ended: float

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.ended - self.sent


class Client:
    """A client of the server at ``port`` on this machine. ``timeout`` is in seconds."""

    def __init__(self, port: int, *, timeout: float = TIMEOUT) -> None:
        self._port = port
        self._timeout = timeout
        self._idle: list[_Connection] = []

    async def send(self, request: Request) -> Outcome:
        """Send a request, and return its outcome."""
        sent = time.monotonic()
        status, body = TIMED_OUT, b""
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._answered(request)
        except TimeoutError:
            pass
        except OSError:
            status = LOST
        return Outcome(status, body, sent, time.monotonic())

    def close(self) -> None:
        """Close all idle connections."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def _answered(self, request: Request) -> tuple[int, bytes]:
        connection = self._kept() or await self._connected()
        try:
            found = await connection.send(encoded(request))
        except BaseException:
            connection.abort()
            raise
        if connection.is_usable:
            self._idle.append(connection)
        return found

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def _connected(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(loop), "127.0.0.1", self._port)
        return connection


class _Connection(asyncio.Protocol):
    """One connection without pipelining. httptools calls the ``on_...`` methods."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._response: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._is_last = False

    @property
    def is_usable(self) -> bool:
        return not (self._is_last or self._transport.is_closing())

    async def send(self, request: bytes) -> tuple[int, bytes]:
        self._response = self._loop.create_future()
        self._transport.write(request)
        return await self._response

    def abort(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a socket
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._response and not self._response.done():
            self._response.set_exception(ConnectionResetError())

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._is_last = not self._parser.should_keep_alive()
        if self._response and not self._response.done():
            self._response.set_result((self._parser.get_status_code(), b"".join(self._body)))


def encoded(request: Request) -> bytes:
    """Return the bytes of a request."""
    body = request.body.encode()
    fields = {"Host": "127.0.0.1", **request.headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def open_loop(rate: float, seconds: float, work: Callable[[int], Awaitable[T]]) -> list[T]:
    """Start ``work`` at ``rate`` times a second, whether or not earlier ones have ended, and return all results.

    Raises ``RuntimeError`` when this process is too slow for the rate.
    """
    loop, count = asyncio.get_running_loop(), round(rate * seconds)
    start, tasks = loop.time(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        tasks.append(asyncio.ensure_future(work(number)))
    if loop.time() - start > seconds * 1.1:
        raise RuntimeError(f"This process cannot start {rate:g} requests a second. Use a faster or idle machine.")
    return await asyncio.gather(*tasks)


async def closed_loop(clients: int, items: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Run all items with a fixed number of clients, each of which starts its next item when its last one has ended."""
    waiting = iter(items)
    results: list[T] = []

    async def client() -> None:
        for item in waiting:
            result = await item()
            results.append(result)

    await asyncio.gather(*(client() for _ in range(clients)))
    return results
