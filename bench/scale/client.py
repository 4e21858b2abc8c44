"""A client of one origin for load at a given rate. It repeats nothing, and says of each request what became of it.

Connections are kept, and the one that was used last is used first; one that the server closed is not used again. There
is no bound of their number: at a given rate it is the server that says how many requests are under way.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httptools

from bench.wrk import Request

LOST = 0
"""The status of a request that was not answered: its connection ended, or could not be made."""

LATE = -1
"""The status of a request that was not answered within the client's patience."""

PATIENCE = 10.0  # seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one request, and when it was sent and answered, by ``time.monotonic``."""

    status: int
    body: bytes
    sent: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.sent


class Client:
    """Of the server at ``port`` of this machine. ``patience`` is in seconds."""

    def __init__(self, port: int, *, patience: float = PATIENCE) -> None:
        self._port = port
        self._patience = patience
        self._idle: list[_Connection] = []

    async def ask(self, request: Request) -> Answered:
        """Send it, and wait for its answer."""
        sent = time.monotonic()
        status, body = LATE, b""
        try:
            async with asyncio.timeout(self._patience):
                status, body = await self._answered(request)
        except TimeoutError:
            pass
        except OSError:
            status = LOST
        return Answered(status, body, sent, time.monotonic())

    def close(self) -> None:
        """End the connections that are kept."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def _answered(self, request: Request) -> tuple[int, bytes]:
        connection = self._kept() or await self._connected()
        try:
            found = await connection.ask(encoded(request))
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
    """One request at a time. httptools calls ``on_...``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._is_last = False

    @property
    def is_usable(self) -> bool:
        return not (self._is_last or self._transport.is_closing())

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return await self._answer

    def abort(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a socket
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._is_last = not self._parser.should_keep_alive()
        if self._answer and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._body)))


def encoded(request: Request) -> bytes:
    """Its bytes."""
    body = request.body.encode()
    fields = {"Host": "127.0.0.1", **request.headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def at_rate(rate: float, seconds: float, work: Callable[[int], Awaitable[T]]) -> list[T]:
    """The result of ``work`` for each arrival: ``rate`` of them a second, whether or not those before have ended.

    Raises ``RuntimeError`` when this process was too slow to offer as many.
    """
    loop, count = asyncio.get_running_loop(), round(rate * seconds)
    start, tasks = loop.time(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        tasks.append(asyncio.ensure_future(work(number)))
    if loop.time() - start > seconds * 1.1:
        raise RuntimeError(f"{rate:g} a second could not be offered: this machine is too slow, or too busy")
    return await asyncio.gather(*tasks)


async def by_turns(clients: int, items: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """The result of each item: so many clients that each begin with the next one when theirs has ended."""
    waiting = iter(items)
    results: list[T] = []

    async def client() -> None:
        for item in waiting:
            result = await item()
            results.append(result)

    await asyncio.gather(*(client() for _ in range(clients)))
    return results
