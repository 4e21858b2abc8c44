"""The proxy with a lasting fault, as a client sees it on new and on kept connections."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.patience import PATIENCE
from tests.store.wire import answer, keeps, wire

from .standing import NONE, BlackHole, Cut, Drip, Fault, Garbage, Latency, Mute, Refused, Reset, StandingProxy, s3_error

WHOLE = answer(200, body=b"whole")
A_MOMENT = 0.2
"""Seconds to wait where no response is expected."""


@asynccontextmanager
async def proxy() -> AsyncIterator[StandingProxy]:
    """Start a proxy to a server with a constant response."""
    async with wire(keeps(WHOLE)) as server:
        with StandingProxy("127.0.0.1", server.port) as running:
            yield running
            running.apply(NONE)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, method: str = "GET", within: float = PATIENCE, enough: int = len(WHOLE)) -> bytes:
        """Send a request; return the bytes that arrive within ``within`` seconds, at most ``enough``."""
        self._writer.write(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        received = bytearray()
        try:
            async with asyncio.timeout(within):
                while len(received) < enough and (chunk := await self._reader.read(1024)):
                    received += chunk
        except TimeoutError:
            pass
        return bytes(received)


@asynccontextmanager
async def connected(proxy: StandingProxy) -> AsyncIterator[Client]:
    """Open a client's connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def get(proxy: StandingProxy) -> bytes:
    """Send one request on a new connection; return its response."""
    async with connected(proxy) as client:
        return await client.send()


async def test_requests_pass_without_a_fault() -> None:
    """Without a fault all requests of a connection pass and are counted."""
    async with proxy() as running, connected(running) as client:
        assert [await client.send() for _ in range(3)] == [WHOLE] * 3
        assert running.request_count == 3


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Cut(12), WHOLE[:12]),
        (BlackHole(), b""),
        (s3_error(503, "SlowDown"), s3_error(503, "SlowDown").replacement(b"GET ")),
    ],
    ids=["cut", "black hole", "status"],
)
async def test_fault_affects_all_connections(fault: Fault, seen: bytes) -> None:
    """A fault affects kept and new connections until it ends."""
    async with proxy() as running, connected(running) as kept, connected(running) as new:
        assert await kept.send() == WHOLE
        running.apply(fault)
        within = PATIENCE if seen else A_MOMENT
        assert await kept.send(within=within) == seen[: max(len(WHOLE), len(seen))]
        assert await new.send(within=within) == seen
        running.apply(NONE)
        assert await get(running) == WHOLE


async def test_response_is_delayed() -> None:
    """A latency delays the response."""
    async with proxy() as running, connected(running) as client:
        running.apply(Latency(0.2))
        began = time.monotonic()
        assert await client.send() == WHOLE
        assert time.monotonic() - began >= 0.2


async def test_response_drips() -> None:
    """A dripping response arrives byte by byte."""
    async with proxy() as running, connected(running) as client, connected(running) as other:
        running.apply(Drip(2 * PATIENCE))
        assert await client.send(enough=1) == WHOLE[:1]
        running.apply(Drip(0.001))
        assert await other.send() == WHOLE


async def test_one_method_gets_no_response() -> None:
    """Requests of the muted method get no response, and others do."""
    async with proxy() as running, connected(running) as client, connected(running) as other:
        running.apply(Mute("PUT"))
        assert await client.send("GET") == WHOLE
        assert await other.send("PUT", within=A_MOMENT) == b""
        assert await client.send("DELETE") == WHOLE


async def test_garbage_is_not_http() -> None:
    """Garbage is not an HTTP response."""
    async with proxy() as running, connected(running) as client:
        running.apply(Garbage())
        received = await client.send()
        assert received
        assert not received.startswith(b"HTTP")


async def test_head_response_has_no_body() -> None:
    """The response to a HEAD request has no body."""
    async with proxy() as running, connected(running) as client:
        running.apply(s3_error(403, "AccessDenied"))
        assert (await client.send("HEAD")).endswith(b"\r\n\r\n")


async def test_connections_are_reset() -> None:
    """Kept and new connections are reset."""
    async with proxy() as running, connected(running) as kept:
        assert await kept.send() == WHOLE
        running.apply(Reset())
        with pytest.raises(ConnectionResetError):
            await kept.send()
        with pytest.raises(ConnectionResetError):
            await get(running)


async def test_refused_port_is_kept() -> None:
    """Connections are refused, and afterwards the proxy listens on the same port again."""
    async with proxy() as running, connected(running) as kept:
        assert await kept.send() == WHOLE
        running.apply(Refused())
        with pytest.raises(ConnectionResetError):
            await kept.send()
        with pytest.raises(ConnectionRefusedError):
            await get(running)
        running.apply(NONE)
        assert await get(running) == WHOLE


async def test_connection_survives_an_error() -> None:
    """A connection continues after an error response without ``Connection: close``."""
    refusal = s3_error(429, "ServiceUnavailable", fields=("Retry-After: 5",))
    async with proxy() as running, connected(running) as client:
        running.apply(refusal)
        assert await client.send(within=0.2) == refusal.replacement(b"GET ")
        running.apply(NONE)
        assert await client.send() == WHOLE
