"""The client over real sockets: reuse of connections, failures and cancellation."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from broker.http_client import origin
from broker.http_client.http_errors import (
    HttpError,
    KeptConnectionLostError,
    MalformedResponseError,
    ServerDisconnectedError,
)
from broker.http_client.message import Request, Response
from broker.http_client.origin import Origin
from tests.patience import PATIENCE
from tests.store.wire import Act, Wire, answer, drips, endless, keeps, resets, says, silence

from .clients import GET, GOOD, check_good, client_of

OTHER = answer(200, body=b"other")


async def settled(server: Wire, connections: int) -> None:
    """Wait until the server has this number of open connections."""
    async with asyncio.timeout(PATIENCE):
        while server.open != connections:  # noqa: ASYNC110  # the server has a counter only
            await asyncio.sleep(0.005)


async def reuse() -> None:
    """Check that sequential requests use one connection."""
    async with client_of(keeps(GOOD)) as (client, server):
        for _ in range(5):
            assert await client.send(GET) == Response(200, {"content-length": "4", "a": "b"}, b"good")
        assert server.connections == 1
        assert server.requests[0] == f"GET /a HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUser-Agent: me\r\n\r\n"


async def concurrent_requests() -> None:
    """Check that concurrent requests have their own connections, and the last one is reused first."""
    async with client_of(keeps(GOOD)) as (client, server):
        await asyncio.gather(*(check_good(client) for _ in range(4)))
        assert (server.connections, len(client._idle)) == (4, 4)
        last = client._idle[-1]
        await check_good(client)
        assert client._idle[-1] is last
        assert server.connections == 4


async def closed_while_idle() -> None:
    """Check that a connection that the server closed while idle is not used."""

    async def soon(request: str, writer: asyncio.StreamWriter) -> None:
        await keeps(GOOD)(request, writer)
        asyncio.get_running_loop().call_later(0.01, writer.close)

    async with client_of(soon, keeps(GOOD)) as (client, server):
        await check_good(client)
        await settled(server, 0)
        await asyncio.sleep(0.01)  # until the client has received the end
        await check_good(client)
        assert (server.connections, len(server.requests)) == (2, 2)


async def bytes_while_idle() -> None:
    """Check that bytes on an idle connection end it and are never a response."""

    async def twice(request: str, writer: asyncio.StreamWriter) -> None:
        await keeps(GOOD)(request, writer)
        asyncio.get_running_loop().call_later(0.01, writer.write, OTHER)

    async with client_of(twice, keeps(GOOD)) as (client, server):
        await check_good(client)
        await settled(server, 0)
        await check_good(client)
        assert server.connections == 2


@pytest.mark.parametrize("behind", [OTHER, b"HTTP/1.1 200", b"junk", b"\r\n"])
async def test_bytes_after_a_response(behind: bytes) -> None:
    """Bytes after a response end the connection and are never a response."""
    async with client_of(keeps(GOOD + behind), keeps(GOOD)) as (client, server):
        for _ in range(3):
            await check_good(client)
        assert server.connections == 2


async def test_bytes_before_the_caller_resumes() -> None:
    """Bytes that arrive before the caller resumes end the connection."""
    async with client_of(silence, keeps(GOOD)) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        (connection,) = client._open
        connection.data_received(GOOD)
        connection.data_received(OTHER)
        assert (await asked).body == b"good"
        await check_good(client)
        assert server.connections == 2


async def test_eof_before_the_caller_resumes() -> None:
    """The end of the stream before the caller resumes does not change the response."""
    async with client_of(silence) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        (connection,) = client._open
        connection.data_received(GOOD)
        connection.eof_received()
        assert (await asked).body == b"good"


async def cancelled_callers() -> None:
    """Check that a cancelled request ends its connection."""
    async with client_of(silence, drips(GOOD, 0.01), keeps(GOOD)) as (client, server):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.send(GET)
            await asyncio.sleep(0.01)  # connection_lost runs in a later iteration of the loop
            assert client._open == set()
        await check_good(client)
        assert (server.connections, client._idle) == (3, [*client._open])


async def test_cancelled_after_the_response() -> None:
    """A caller that is cancelled after the response arrived ends its connection."""
    async with client_of(silence, keeps(GOOD)) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        (connection,) = client._open
        connection.data_received(GOOD)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not connection.is_open
        await check_good(client)


FAILURES: dict[str, tuple[Act, type[Exception]]] = {
    "closed": (says(b""), ServerDisconnectedError),
    "closed in the head": (says(GOOD[:20]), ServerDisconnectedError),
    "closed in the body": (says(GOOD[:-1]), ServerDisconnectedError),
    "reset": (resets(), ConnectionResetError),
    "reset in the body": (resets(GOOD[:-1]), ConnectionResetError),
    "reset in a body without a length": (resets(b"HTTP/1.1 200 OK\r\n\r\ngoo"), ConnectionResetError),
    "another protocol": (keeps(b"SSH-2.0-OpenSSH_9.2\r\n"), MalformedResponseError),
    "a head too large": (endless(b"HTTP/1.1 200 OK\r\nA: ", b"a" * 1000), MalformedResponseError),
}


async def failures() -> None:
    """Check that each failure has its own error and leaves no idle connection."""
    for act, kind in FAILURES.values():
        async with client_of(act, keeps(GOOD)) as (client, server):
            with pytest.raises((HttpError, OSError)) as caught:
                await client.send(GET)
            assert caught.type is kind
            assert len(server.requests) == 1
            assert not client._idle
            await check_good(client)


async def lost_idle_connection() -> None:
    """Check that a lost idle connection has its own error, and the request is not retried."""
    for ends in (resets(), says(b""), says(GOOD[:20])):
        async with client_of(keeps(GOOD), ends, keeps(GOOD)) as (client, server):
            await check_good(client)
            with pytest.raises(KeptConnectionLostError):
                await client.send(GET)
            assert len(server.requests) == 2
            await check_good(client)


async def timeout_on_idle_connection() -> None:
    """Check that a timeout on an idle connection closes all idle connections."""
    async with client_of(keeps(GOOD)) as (client, server):
        await asyncio.gather(*(check_good(client) for _ in range(4)))
        server.acts = (silence,)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.send(GET)
        server.acts = (keeps(GOOD),)
        await check_good(client)
        assert (server.connections, len(client._idle)) == (5, 1)


async def fresh_connection() -> None:
    """Check that a fresh connection replaces an idle one."""
    async with client_of(keeps(GOOD)) as (client, server):
        for _ in range(5):
            assert (await client.send(GET, is_fresh=True)).body == b"good"
        assert server.connections == 5
        await settled(server, 1)


async def body_without_length() -> None:
    """Check that a body without a length ends with its connection."""
    async with client_of(says(b"HTTP/1.1 200 OK\r\n\r\ngood"), keeps(GOOD)) as (client, server):
        await check_good(client)
        await check_good(client)
        assert server.connections == 2


async def endless_body() -> None:
    """Check that an endless body is cut at the limit, and its connection ends."""
    async with client_of(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"good" * 4096), keeps(GOOD)) as (client, server):
        assert (await client.send(GET._replace(limit=6))).body == b"goodgo"
        await settled(server, 0)
        await check_good(client)


async def early_response() -> None:
    """Check that a response before the end of the request body is returned, and its connection ends."""

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(413))
        await asyncio.sleep(0.1)  # the client reads the response before the reset
        writer.transport.abort()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    client = Origin(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connect_timeout=1)
    response = await client.send(Request("POST", "/", body=bytes(2**24)))
    assert (response.status, client._idle) == (413, [])
    await client.close()
    server.close()
    await asyncio.sleep(0.2)  # until its handler has ended


async def close() -> None:
    """Check that closing the client ends requests in flight, and does not complete a body without a length."""
    async with client_of(keeps(b"HTTP/1.1 200 OK\r\n\r\ngoo"), keeps(GOOD)) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        await asyncio.sleep(0.05)  # until the client has read the first bytes
        await client.close()
        with pytest.raises(ServerDisconnectedError):
            await asked
        await check_good(client)


SCENARIOS: list[Callable[[], Awaitable[None]]] = [
    reuse,
    concurrent_requests,
    closed_while_idle,
    bytes_while_idle,
    cancelled_callers,
    failures,
    lost_idle_connection,
    timeout_on_idle_connection,
    fresh_connection,
    body_without_length,
    endless_body,
    early_response,
    close,
]


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_scenarios(
    scenario: Callable[[], Awaitable[None]],
    loop: Callable[[], asyncio.AbstractEventLoop],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each scenario passes on asyncio and uvloop without a warning in the log."""

    async def run() -> None:
        await scenario()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_idle_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was idle for too long is closed and not reused."""
    monkeypatch.setattr(origin, "IDLE_TIMEOUT", 1.0)
    async with client_of(keeps(GOOD)) as (client, server):
        await asyncio.gather(check_good(client), check_good(client))
        await asyncio.sleep(0.6)  # more than half of the idle timeout, and less than all of it
        await check_good(client)
        await settled(server, 1)
        assert len(client._idle) == 1
        await settled(server, 0)
        assert (client._idle, client._idle_timer) == ([], None)
        await check_good(client)
        client._idle[0].idle_since -= 2
        await check_good(client)
        assert server.connections == 4
