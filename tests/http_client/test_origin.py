"""The client over real sockets: which connection carries what, and what a failure leaves behind."""

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

from .facing import GET, GOOD, facing, good

OTHER = answer(200, body=b"another's")


async def settled(server: Wire, connections: int) -> None:
    """Once so many connections are open at the server."""
    async with asyncio.timeout(PATIENCE):
        while server.open != connections:  # noqa: ASYNC110  # the server is a counter and no more
            await asyncio.sleep(0.005)


async def a_connection_is_used_again() -> None:
    async with facing(keeps(GOOD)) as (client, server):
        for _ in range(5):
            assert await client.send(GET) == Response(200, {"content-length": "4", "a": "b"}, b"good")
        assert server.connections == 1
        assert server.requests[0] == f"GET /a HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUser-Agent: me\r\n\r\n"


async def requests_at_once_have_connections_of_their_own_and_the_last_is_used_first() -> None:
    async with facing(keeps(GOOD)) as (client, server):
        await asyncio.gather(*(good(client) for _ in range(4)))
        assert (server.connections, len(client._idle)) == (4, 4)
        last = client._idle[-1]
        await good(client)
        assert client._idle[-1] is last
        assert server.connections == 4


async def a_connection_that_ended_while_idle_is_not_used() -> None:
    async def soon(request: str, writer: asyncio.StreamWriter) -> None:
        await keeps(GOOD)(request, writer)
        asyncio.get_running_loop().call_later(0.01, writer.close)

    async with facing(soon, keeps(GOOD)) as (client, server):
        await good(client)
        await settled(server, 0)
        await asyncio.sleep(0.01)  # our side hears of it, too
        await good(client)
        assert (server.connections, len(server.requests)) == (2, 2)


async def what_comes_while_nobody_asks_ends_the_connection_and_answers_nobody() -> None:
    async def twice(request: str, writer: asyncio.StreamWriter) -> None:
        await keeps(GOOD)(request, writer)
        asyncio.get_running_loop().call_later(0.01, writer.write, OTHER)

    async with facing(twice, keeps(GOOD)) as (client, server):
        await good(client)
        await settled(server, 0)
        await good(client)
        assert server.connections == 2


@pytest.mark.parametrize("behind", [OTHER, b"HTTP/1.1 200", b"junk", b"\r\n"])
async def test_what_follows_on_a_response_answers_nobody(behind: bytes) -> None:
    async with facing(keeps(GOOD + behind), keeps(GOOD)) as (client, server):
        for _ in range(3):
            await good(client)
        assert server.connections == 2


async def test_what_comes_between_a_response_and_its_caller_ends_the_connection() -> None:
    async with facing(silence, keeps(GOOD)) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        (connection,) = client._open
        connection.data_received(GOOD)
        connection.data_received(OTHER)
        assert (await asked).body == b"good"
        await good(client)
        assert server.connections == 2


async def test_an_end_between_a_response_and_its_caller_changes_nothing() -> None:
    async with facing(silence) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        (connection,) = client._open
        connection.data_received(GOOD)
        connection.eof_received()
        assert (await asked).body == b"good"


async def a_caller_that_goes_away_takes_its_connection_along() -> None:
    async with facing(silence, drips(GOOD, 0.01), keeps(GOOD)) as (client, server):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.send(GET)
            await asyncio.sleep(0.01)  # the connection is lost in a turn of its own
            assert client._open == set()
        await good(client)
        assert (server.connections, client._idle) == (3, [*client._open])


async def test_a_caller_that_goes_away_once_the_response_is_there_takes_its_connection_along() -> None:
    async with facing(silence, keeps(GOOD)) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        (connection,) = client._open
        connection.data_received(GOOD)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not connection.is_open
        await good(client)


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


async def failures_are_named_and_leave_no_connection() -> None:
    for act, kind in FAILURES.values():
        async with facing(act, keeps(GOOD)) as (client, server):
            with pytest.raises((HttpError, OSError)) as caught:
                await client.send(GET)
            assert caught.type is kind
            assert len(server.requests) == 1
            assert not client._idle
            await good(client)


async def a_kept_connection_that_is_lost_is_told_apart_and_nothing_is_sent_twice() -> None:
    for ends in (resets(), says(b""), says(GOOD[:20])):
        async with facing(keeps(GOOD), ends, keeps(GOOD)) as (client, server):
            await good(client)
            with pytest.raises(KeptConnectionLostError):
                await client.send(GET)
            assert len(server.requests) == 2
            await good(client)


async def a_kept_connection_that_leads_nowhere_costs_one_request() -> None:
    async with facing(keeps(GOOD)) as (client, server):
        await asyncio.gather(*(good(client) for _ in range(4)))
        server.acts = (silence,)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.send(GET)
        server.acts = (keeps(GOOD),)
        await good(client)
        assert (server.connections, len(client._idle)) == (5, 1)


async def a_fresh_connection_takes_the_place_of_a_kept_one() -> None:
    async with facing(keeps(GOOD)) as (client, server):
        for _ in range(5):
            assert (await client.send(GET, is_fresh=True)).body == b"good"
        assert server.connections == 5
        await settled(server, 1)


async def a_body_without_a_length_ends_with_its_connection() -> None:
    async with facing(says(b"HTTP/1.1 200 OK\r\n\r\ngood"), keeps(GOOD)) as (client, server):
        await good(client)
        await good(client)
        assert server.connections == 2


async def a_body_that_goes_on_is_cut_and_its_connection_ended() -> None:
    async with facing(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"good" * 4096), keeps(GOOD)) as (client, server):
        assert (await client.send(GET._replace(limit=6))).body == b"goodgo"
        await settled(server, 0)
        await good(client)


async def an_answer_that_does_not_wait_for_the_body_is_taken_and_its_connection_ended() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(413))
        await asyncio.sleep(0.1)  # the answer is read before the reset can overtake it
        writer.transport.abort()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    client = Origin(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connect_timeout=1)
    response = await client.send(Request("POST", "/", body=bytes(2**24)))
    assert (response.status, client._idle) == (413, [])
    await client.close()
    server.close()
    await asyncio.sleep(0.2)  # its handler ends within the test


async def closing_ends_what_is_under_way_and_a_body_without_length_is_not_whole_by_that() -> None:
    async with facing(keeps(b"HTTP/1.1 200 OK\r\n\r\ngoo"), keeps(GOOD)) as (client, server):
        asked = asyncio.create_task(client.send(GET))
        await settled(server, 1)
        await asyncio.sleep(0.05)  # the piece of the answer is here
        await client.close()
        with pytest.raises(ServerDisconnectedError):
            await asked
        await good(client)


SCENARIOS: list[Callable[[], Awaitable[None]]] = [
    a_connection_is_used_again,
    requests_at_once_have_connections_of_their_own_and_the_last_is_used_first,
    a_connection_that_ended_while_idle_is_not_used,
    what_comes_while_nobody_asks_ends_the_connection_and_answers_nobody,
    a_caller_that_goes_away_takes_its_connection_along,
    failures_are_named_and_leave_no_connection,
    a_kept_connection_that_is_lost_is_told_apart_and_nothing_is_sent_twice,
    a_kept_connection_that_leads_nowhere_costs_one_request,
    a_fresh_connection_takes_the_place_of_a_kept_one,
    a_body_without_a_length_ends_with_its_connection,
    a_body_that_goes_on_is_cut_and_its_connection_ended,
    an_answer_that_does_not_wait_for_the_body_is_taken_and_its_connection_ended,
    closing_ends_what_is_under_way_and_a_body_without_length_is_not_whole_by_that,
]


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_on_every_loop(
    scenario: Callable[[], Awaitable[None]],
    loop: Callable[[], asyncio.AbstractEventLoop],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        await scenario()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_what_is_idle_for_long_is_closed_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "IDLE_TIMEOUT", 1.0)
    async with facing(keeps(GOOD)) as (client, server):
        await asyncio.gather(good(client), good(client))
        await asyncio.sleep(0.6)  # more than half of what is kept, and less than all
        await good(client)
        await settled(server, 1)
        assert len(client._idle) == 1
        await settled(server, 0)
        assert (client._idle, client._idle_timer) == ([], None)
        await good(client)
        client._idle[0].idle_since -= 2
        await good(client)
        assert server.connections == 4
