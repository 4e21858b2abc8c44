"""The end of a connection: unread responses, the stop of the server, idle connections and the limit of connections."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.server import protocol
from broker.server.protocol import HttpProtocol
from tests.patience import until
from tests.web.running_server import GOOD_PATH, Connection, RunningServer, request, running_server

SHORT = 0.3
LONG = 20.0  # far more than a shortened deadline, also on a busy machine


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """Yield a server that must still respond at the end."""
    with running_server() as server:
        yield server


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with more bytes than all buffers hold."""
    if scope["type"] == "http":
        await Response(b"a" * 30_000_000)(scope, receive, send)
    else:
        await lifespan(receive, send)


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond after a while."""
    if scope["type"] == "http":
        await asyncio.sleep(4 * SHORT)
        await Response(b"done")(scope, receive, send)
    else:
        await lifespan(receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    """Start and stop."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


def test_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not read its response is disconnected at the deadline."""
    monkeypatch.setattr(protocol, "WRITE_DEADLINE", SHORT)
    with RunningServer(large) as server, server.connect() as connection:
        connection.send(request("GET", "/"))
        received = len(connection._socket.recv(1))
        until(lambda: not server.server.server_state.connections)
        with contextlib.suppress(ConnectionError):
            while data := connection._socket.recv(1 << 20):
                received += len(data)
        assert received < 30_000_000


def test_large_response_arrives() -> None:
    """A client that reads a large response gets all of it."""
    with RunningServer(large) as server:
        (reply,) = server.replies_to(request("GET", "/"))
    assert len(reply.body) == 30_000_000


def test_x01_stop_finishes_requests_in_flight() -> None:
    """When the server stops, a request in flight gets its response, and the connection ends."""
    with RunningServer(slow) as server, server.connect() as connection:
        connection.send(request("GET", "/", keep=True))
        time.sleep(SHORT / 3)  # the request is in flight
        server.server.should_exit = True
        (reply,) = connection.replies()
    assert (reply.body, reply.fields["connection"]) == (b"done", "close")


def test_x01_stop_serves_one_more_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server stops, an idle connection may send one more request."""
    monkeypatch.setattr(protocol, "STOP_IDLE_TIMEOUT", LONG)
    with RunningServer() as server, server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        server.server.should_exit = True
        time.sleep(3 * SHORT)  # the server has begun to stop
        connection.send(request("GET", GOOD_PATH, keep=True))
        (reply,) = connection.replies()
    assert (reply.status, reply.fields["connection"]) == (200, "close")


def test_x01_stop_closes_idle_connections() -> None:
    """When the server stops, an idle connection is closed after a moment."""
    with RunningServer() as server, server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        server.server.should_exit = True
        assert connection.is_closed_within(LONG)


def expired_connection(server: RunningServer, connection: Connection, *, is_new: bool) -> HttpProtocol:
    """Return the server's protocol of a connection whose time has ended, new or idle after a request."""
    if not is_new:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
    until(lambda: server.server.server_state.connections)
    (kept,) = server.server.server_state.connections
    assert isinstance(kept, HttpProtocol)
    kept._idle_since -= kept.timeout_keep_alive
    return kept


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "kept"])
def test_arrived_request_is_served(server: RunningServer, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """A request that the event loop has not read yet when its connection expires is served."""
    monkeypatch.setattr(protocol, "HEAD_DEADLINE", LONG)
    with server.connect() as connection:
        kept = expired_connection(server, connection, is_new=is_new)

        def expire() -> None:
            connection.send(request("GET", GOOD_PATH, keep=True))
            kept.cancel_timer()
            (kept._on_timer if is_new else kept._on_idle_timer)()

        kept.loop.call_soon_threadsafe(expire)
        assert connection.reply().status == 200


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "kept"])
def test_silent_connection_ends_at_once(server: RunningServer, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """An expired connection ends before the next iteration of the event loop, in which a request could arrive."""
    monkeypatch.setattr(protocol, "HEAD_DEADLINE", LONG)
    with server.connect() as connection:
        kept = expired_connection(server, connection, is_new=is_new)
        is_ended: list[bool] = []

        def expire() -> None:
            kept.cancel_timer()
            (kept._on_timer if is_new else kept._on_idle_timer)()
            is_ended.append(connection.is_closed_within(SHORT))

        kept.loop.call_soon_threadsafe(expire)
        until(lambda: is_ended)
    assert is_ended == [True]


def test_connection_over_the_limit_is_refused(server: RunningServer) -> None:
    """A connection over the limit gets a 503 with Retry-After, and the next one is served when there is room."""
    server.server.config.limit_concurrency = 1
    with server.connect() as first:
        first.send(request("GET", GOOD_PATH, keep=True))
        assert first.reply().status == 200
        with contextlib.ExitStack() as stack:
            refused = [stack.enter_context(server.connect()) for _ in range(protocol.LINGERING_REFUSALS_MAX + 2)]
            for connection in refused:
                (reply,) = connection.replies()
                assert (reply.status, reply.code) == (503, "too_many_connections")
                assert (reply.fields["connection"], reply.fields["retry-after"]) == ("close", "2")
        first.send(request("GET", GOOD_PATH))
        assert [reply.status for reply in first.replies()] == [200]
    until(lambda: not server.server.server_state.connections)


def test_h17_only_idle_connections_are_closed() -> None:
    """An idle connection is closed after the keep-alive period, and a busy one stays open."""
    with running_server(timeout_keep_alive=2) as server, server.connect() as idle, server.connect() as busy:
        for connection in (idle, busy):
            connection.send(request("GET", GOOD_PATH, keep=True))
            assert connection.reply().status == 200
        for _ in range(8):
            time.sleep(0.5)  # four seconds in all, twice the keep-alive period
            busy.send(request("GET", GOOD_PATH, keep=True))
            assert busy.reply().status == 200
        assert idle.is_closed_within(SHORT)
        assert busy.is_closed_within(LONG)


def test_incomplete_head_is_not_idle() -> None:
    """A connection with an incomplete head is not closed as idle."""
    head = request("GET", GOOD_PATH, keep=True)
    with running_server(timeout_keep_alive=2) as server, server.connect() as connection:
        connection.send(head)
        assert connection.reply().status == 200
        time.sleep(1.2)  # less than the keep-alive period
        connection.send(head[:20])
        time.sleep(1.2)  # together more than the keep-alive period
        connection.send(head[20:])
        assert connection.reply().status == 200


def test_slow_response_is_not_idle() -> None:
    """A response that takes longer than the keep-alive period arrives, and the connection serves the next request."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(1.5 if scope["path"] == "/slow" else 0)
            await Response("done")(scope, receive, send)

    with RunningServer(slow, timeout_keep_alive=1, lifespan="off") as server, server.connect() as connection:
        for path in ("/", "/slow", "/"):
            connection.send(request("GET", path, keep=True))
            assert connection.reply().body == b"done"
