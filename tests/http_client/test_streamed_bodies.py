"""Requests whose bodies are not in memory: sent at the server's pace, and never in part."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from broker.http_client.http_errors import HttpError
from broker.http_client.message import BodyStream, Request
from tests.patience import PATIENCE
from tests.store.wire import Act, answer, keeps, resets

from .clients import GOOD, check_good, client_of

MIB = 2**20
PIECE = bytes(64 * 1024)


def put(length: int, *pieces: bytes, patience: float = PATIENCE) -> Request:
    """Return a PUT of these pieces."""

    async def produce() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    return Request("PUT", "/a", stream=BodyStream(length, produce, patience))


def reads_no_body(data: bytes = b"") -> Act:
    """Send ``data`` and read nothing more for as long as the connection is open."""

    async def act(_request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await asyncio.Event().wait()

    return act


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test server read no bodies."""

    async def head_only(reader: asyncio.StreamReader) -> str:
        return (await reader.readuntil(b"\r\n\r\n")).decode()

    monkeypatch.setattr("tests.store.wire._request", head_only)


async def test_pieces_are_one_body() -> None:
    """The pieces follow the head, which has their length, and the connection is used again."""
    async with client_of(keeps(GOOD)) as (client, server):
        assert (await client.send(put(10, b"some", b"", b" bytes"))).status == 200
        assert "Content-Length: 10\r\n" in server.requests[0]
        await check_good(client)
        assert server.connections == 1


@pytest.mark.parametrize(("length", "pieces"), [(10, ()), (10, (b"short",)), (3, (b"long",)), (3, (b"123", b"4"))])
async def test_a_body_must_have_its_length(length: int, pieces: tuple[bytes, ...]) -> None:
    """A body that is shorter or longer than its length ends the connection."""
    async with client_of(keeps(GOOD)) as (client, _server):
        with pytest.raises(ValueError, match="length"):
            await client.send(put(length, *pieces))
        assert not client._idle


async def test_an_error_of_the_body_is_raised() -> None:
    """An error while the body is produced is raised, and the server never receives the whole."""

    async def produce() -> AsyncGenerator[bytes]:
        yield PIECE
        raise LookupError

    async with client_of(keeps(GOOD)) as (client, server):
        with pytest.raises(LookupError):
            await client.send(Request("PUT", "/a", stream=BodyStream(2 * len(PIECE), produce, PATIENCE)))
        assert (server.requests, client._idle) == ([], [])


@pytest.mark.usefixtures("deaf")
async def test_the_server_sets_the_pace() -> None:
    """While the server does not read, few pieces are produced; after the patience the request fails."""
    produced = 0

    async def produce() -> AsyncGenerator[bytes]:
        nonlocal produced
        for _ in range(1024):
            produced += 1
            yield PIECE

    async with client_of(reads_no_body()) as (client, _server):
        with pytest.raises(TimeoutError):
            await client.send(Request("PUT", "/a", stream=BodyStream(1024 * len(PIECE), produce, 0.2)))
    assert produced < 512  # the rest fits into no buffer of the two systems


@pytest.mark.usefixtures("deaf")
async def test_an_early_response_ends_the_body() -> None:
    """A response before the end of the body is returned, the body is not continued, and the connection ends."""
    stopped = asyncio.Event()

    async def produce() -> AsyncGenerator[bytes]:
        try:
            for _ in range(1024):
                yield PIECE
        finally:
            stopped.set()

    async with client_of(reads_no_body(answer(503))) as (client, _server):
        request = Request("PUT", "/a", stream=BodyStream(1024 * len(PIECE), produce, PATIENCE))
        assert (await client.send(request)).status == 503
        assert stopped.is_set()
        assert not client._idle


@pytest.mark.usefixtures("deaf")
async def test_a_connection_with_an_unsent_piece_ends() -> None:
    """If the last piece arrives after the response, the connection is not used again: the body is incomplete."""
    has_responded = asyncio.Event()

    async def act(_request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(403))
        await writer.drain()
        has_responded.set()
        await asyncio.Event().wait()

    async def produce() -> AsyncGenerator[bytes]:
        yield b"first"
        await has_responded.wait()
        await asyncio.sleep(0.1)  # until the response has been received
        yield b"last"

    async with client_of(act) as (client, _server):
        assert (await client.send(Request("PUT", "/a", stream=BodyStream(9, produce, PATIENCE)))).status == 403
        assert not client._idle


@pytest.mark.usefixtures("deaf")
async def test_a_server_that_never_responds_fails_the_request() -> None:
    """A complete body without a response fails after the patience."""
    async with client_of(reads_no_body()) as (client, _server):
        with pytest.raises(TimeoutError):
            await client.send(put(4, b"body", patience=0.1))


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("act", [resets, lambda: reads_no_body(b"no HTTP at all\r\n\r\n")])
async def test_a_lost_connection_ends_the_body(act: Callable[[], Act]) -> None:
    """A connection that ends, or that has no valid response, fails a body that waits for the server."""
    async with client_of(act()) as (client, _server):
        with pytest.raises((HttpError, ConnectionError)):
            await client.send(put(64 * MIB, *([PIECE] * 1024)))


async def test_a_cancelled_body_ends_the_connection() -> None:
    """A cancelled request ends its connection before the body is complete."""
    waiting = asyncio.Event()

    async def produce() -> AsyncGenerator[bytes]:
        yield b"some"
        waiting.set()
        await asyncio.Event().wait()

    async with client_of(keeps(GOOD)) as (client, server):
        task = asyncio.create_task(client.send(Request("PUT", "/a", stream=BodyStream(10, produce, PATIENCE))))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.requests == []
