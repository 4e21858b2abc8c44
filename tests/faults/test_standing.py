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
"""Seconds in which nothing comes where nothing is to come."""


@asynccontextmanager
async def proxy() -> AsyncIterator[StandingProxy]:
    """Start a proxy to a server with a constant response."""
    async with wire(keeps(WHOLE)) as there:
        with StandingProxy("127.0.0.1", there.port) as running:
            yield running
            running.stand(NONE)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, method: str = "GET", within: float = PATIENCE, enough: int = len(WHOLE)) -> bytes:
        """Send a request; return the bytes that arrive within ``within`` seconds, at most ``enough``."""
        self._writer.write(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        said = bytearray()
        try:
            async with asyncio.timeout(within):
                while len(said) < enough and (chunk := await self._reader.read(1024)):
                    said += chunk
        except TimeoutError:
            pass
        return bytes(said)


@asynccontextmanager
async def connected(proxy: StandingProxy) -> AsyncIterator[Client]:
    """Open a client's connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def asked(proxy: StandingProxy) -> bytes:
    """Send one request on a new connection; return its response."""
    async with connected(proxy) as client:
        return await client.ask()


async def test_requests_pass_without_a_fault() -> None:
    """Without a fault all requests of a connection pass and are counted."""
    async with proxy() as running, connected(running) as client:
        assert [await client.ask() for _ in range(3)] == [WHOLE] * 3
        assert running.asked == 3


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Cut(12), WHOLE[:12]),
        (BlackHole(), b""),
        (s3_error(503, "SlowDown"), s3_error(503, "SlowDown").instead(b"GET ")),
    ],
    ids=["cut", "black hole", "status"],
)
async def test_fault_affects_all_connections(fault: Fault, seen: bytes) -> None:
    """A fault affects kept and new connections until it ends."""
    async with proxy() as running, connected(running) as kept, connected(running) as new:
        assert await kept.ask() == WHOLE
        running.stand(fault)
        within = PATIENCE if seen else A_MOMENT
        assert await kept.ask(within=within) == seen[: max(len(WHOLE), len(seen))]
        assert await new.ask(within=within) == seen
        running.stand(NONE)
        assert await asked(running) == WHOLE


async def test_response_is_delayed() -> None:
    """A latency delays the response."""
    async with proxy() as running, connected(running) as client:
        running.stand(Latency(0.2))
        began = time.monotonic()
        assert await client.ask() == WHOLE
        assert time.monotonic() - began >= 0.2


async def test_response_drips() -> None:
    """A dripping response arrives byte by byte."""
    async with proxy() as running, connected(running) as client, connected(running) as other:
        running.stand(Drip(2 * PATIENCE))
        assert await client.ask(enough=1) == WHOLE[:1]
        running.stand(Drip(0.001))
        assert await other.ask() == WHOLE


async def test_one_method_gets_no_response() -> None:
    """Requests of the muted method get no response, and others do."""
    async with proxy() as running, connected(running) as client, connected(running) as other:
        running.stand(Mute("PUT"))
        assert await client.ask("GET") == WHOLE
        assert await other.ask("PUT", within=A_MOMENT) == b""
        assert await client.ask("DELETE") == WHOLE


async def test_garbage_is_not_http() -> None:
    """Garbage is not an HTTP response."""
    async with proxy() as running, connected(running) as client:
        running.stand(Garbage())
        said = await client.ask()
        assert said
        assert not said.startswith(b"HTTP")


async def test_head_response_has_no_body() -> None:
    """The response to a HEAD request has no body."""
    async with proxy() as running, connected(running) as client:
        running.stand(s3_error(403, "AccessDenied"))
        assert (await client.ask("HEAD")).endswith(b"\r\n\r\n")


async def test_connections_are_reset() -> None:
    """Kept and new connections are reset."""
    async with proxy() as running, connected(running) as kept:
        assert await kept.ask() == WHOLE
        running.stand(Reset())
        with pytest.raises(ConnectionResetError):
            await kept.ask()
        with pytest.raises(ConnectionResetError):
            await asked(running)


async def test_refused_port_is_kept() -> None:
    """Connections are refused, and afterwards the proxy listens on the same port again."""
    async with proxy() as running, connected(running) as kept:
        assert await kept.ask() == WHOLE
        running.stand(Refused())
        with pytest.raises(ConnectionResetError):
            await kept.ask()
        with pytest.raises(ConnectionRefusedError):
            await asked(running)
        running.stand(NONE)
        assert await asked(running) == WHOLE


async def test_connection_survives_an_error() -> None:
    """A connection continues after an error response without ``Connection: close``."""
    refusal = s3_error(429, "ServiceUnavailable", fields=("Retry-After: 5",))
    async with proxy() as running, connected(running) as client:
        running.stand(refusal)
        assert await client.ask(within=0.2) == refusal.instead(b"GET ")
        running.stand(NONE)
        assert await client.ask() == WHOLE
