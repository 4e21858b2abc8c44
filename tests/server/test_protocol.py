"""The deadlines of the HTTP edge, and how a connection ends: over sockets, with deadlines shortened."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.server import protocol, request_cycle
from broker.server.protocol import HttpProtocol
from broker.server.uvicorn_server import KEEP_ALIVE
from tests.patience import until
from tests.web.served import GOOD_PATH, Connection, Served, request, served

CREATE = "/api/v1/uploads"
SHORT = 0.3
LONG = 20.0  # far more than a shortened deadline, also on a busy machine


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short deadlines."""
    monkeypatch.setattr(protocol, "HEAD_DEADLINE", SHORT)
    monkeypatch.setattr(request_cycle, "BODY_DEADLINE", SHORT)


@pytest.fixture
def server(hurried: None) -> Iterator[Served]:
    """A server in a hurry, which must be well at the end."""
    with served() as server:
        yield server


def json_head(length: int) -> bytes:
    """The head of a create."""
    return request("POST", CREATE, "Content-Type: application/json", f"Content-Length: {length}", keep=True)


def test_h17_a_silent_connection_is_closed(server: Served) -> None:
    with server.connect() as connection:
        assert connection.is_closed_within(LONG)


@pytest.mark.parametrize("start", [b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"G"])
def test_h17_half_a_head_is_a_408_and_the_end(server: Served, start: bytes) -> None:
    with server.connect() as connection:
        connection.send(start)
        (reply,) = connection.replies()
    assert (reply.status, reply.code) == (408, "request_timeout")


def test_h17_a_head_that_drips_gets_no_more_time(server: Served) -> None:
    with server.connect() as connection:
        stop = threading.Event()

        def drip() -> None:
            for byte in b"GET /healthz HTTP/1.1\r\nHost: " + b"a" * 200:
                connection.send(bytes([byte]))
                if stop.wait(SHORT / 10):
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        (reply,) = connection.replies()
        stop.set()
        dripping.join()
    assert reply.status == 408


def test_h17_a_second_head_has_a_deadline_of_its_own(server: Served) -> None:
    with server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        connection.send(b"GET /healthz HT")
        (reply,) = connection.replies()
    assert reply.status == 408


def test_h17_empty_lines_keep_no_connection(server: Served) -> None:
    with server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        connection.send(b"\r\n")
        assert [reply.status for reply in connection.replies()] in ([], [408])


def test_b03_a_body_that_stays_out_is_a_408_and_the_end(server: Served) -> None:
    with server.connect() as connection:
        connection.send(json_head(100) + b"{")
        (reply,) = connection.replies()
    assert (reply.status, reply.code) == (408, "request_timeout")
    assert reply.fields["connection"] == "close"


def test_b03_a_body_behind_its_answer_keeps_no_connection(server: Served) -> None:
    with server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, "Content-Length: 100", keep=True))
        assert connection.reply().status == 200
        connection.send(b"a")
        assert connection.is_closed_within(LONG)


def test_b01_a_body_over_the_limit_is_refused_unread_and_the_answer_arrives(server: Served) -> None:
    with server.connect() as connection:
        connection.send(json_head(50_000_000) + b"a" * 5_000_000)
        (reply,) = connection.replies()
    assert (reply.status, reply.code) == (413, "too_large")
    assert reply.fields["connection"] == "close"


def test_b01_a_client_that_goes_on_sending_is_cut_off(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_LINGER_TIMEOUT", SHORT)
    with server.connect() as connection:
        connection.send(json_head(50_000_000))
        assert connection.reply().status == 413
        connection.send(b"a")
        assert connection.is_closed_within(LONG)


def test_b04_what_follows_a_body_is_a_request_of_its_own_and_none_of_ours(server: Served) -> None:
    with server.connect() as connection:
        connection.send(json_head(2) + b"{}" + b"a" * 5000)
        replies = connection.replies()
    assert [reply.status for reply in replies] in ([422], [422, 400])


def test_a_refused_body_in_time_leaves_the_connection_open(server: Served) -> None:
    with server.connect() as connection:
        connection.send(json_head(2) + b"{}")
        assert connection.reply().status == 422
        connection.send(request("GET", GOOD_PATH))
        assert connection.reply().status == 200


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """An application with an answer larger than all buffers."""
    if scope["type"] == "http":
        await Response(b"a" * 30_000_000)(scope, receive, send)
    else:
        await lifespan(receive, send)


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that takes its time."""
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


def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "WRITE_DEADLINE", SHORT)
    with Served(large) as server, server.connect() as connection:
        connection.send(request("GET", "/"))
        received = len(connection._socket.recv(1))
        until(lambda: not server.server.server_state.connections)
        with contextlib.suppress(ConnectionError):
            while data := connection._socket.recv(1 << 20):
                received += len(data)
        assert received < 30_000_000


def test_a_client_that_takes_a_large_answer_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with Served(large) as server:
        (reply,) = server.sends(request("GET", "/"))
    assert len(reply.body) == 30_000_000


def test_x01_when_the_server_stops_what_is_under_way_is_answered() -> None:
    with Served(slow) as server, server.connect() as connection:
        connection.send(request("GET", "/", keep=True))
        time.sleep(SHORT / 3)  # the request is under way
        server.server.should_exit = True
        (reply,) = connection.replies()
    assert (reply.body, reply.fields["connection"]) == (b"done", "close")


def test_x01_when_the_server_stops_a_kept_connection_has_one_more_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STOP_IDLE_TIMEOUT", LONG)
    with Served() as server, server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        server.server.should_exit = True
        time.sleep(3 * SHORT)  # the server has begun to stop
        connection.send(request("GET", GOOD_PATH, keep=True))
        (reply,) = connection.replies()
    assert (reply.status, reply.fields["connection"]) == (200, "close")


def test_x01_when_the_server_stops_an_idle_connection_is_closed_soon() -> None:
    with Served() as server, server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        server.server.should_exit = True
        assert connection.is_closed_within(LONG)


def idle_for_long(server: Served, connection: Connection, *, is_new: bool) -> HttpProtocol:
    """The server's end of a connection whose time is over, new or kept after a request."""
    if not is_new:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
    until(lambda: server.server.server_state.connections)
    (kept,) = server.server.server_state.connections
    assert isinstance(kept, HttpProtocol)
    kept._idle_since -= KEEP_ALIVE
    return kept


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "kept"])
def test_a_request_that_arrived_is_answered(server: Served, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """A request that the event loop has not read yet when its connection's time is over is answered."""
    monkeypatch.setattr(protocol, "HEAD_DEADLINE", LONG)
    with server.connect() as connection:
        kept = idle_for_long(server, connection, is_new=is_new)

        def time_is_over() -> None:
            connection.send(request("GET", GOOD_PATH, keep=True))
            kept._cancel_timer()
            (kept._on_timer if is_new else kept._on_idle_timer)()

        kept.loop.call_soon_threadsafe(time_is_over)
        assert connection.reply().status == 200


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "kept"])
def test_a_silent_connection_ends_at_once(server: Served, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """Its end is sent before another turn of the event loop, in which a request could arrive and be lost."""
    monkeypatch.setattr(protocol, "HEAD_DEADLINE", LONG)
    with server.connect() as connection:
        kept = idle_for_long(server, connection, is_new=is_new)
        is_ended: list[bool] = []

        def time_is_over() -> None:
            kept._cancel_timer()
            (kept._on_timer if is_new else kept._on_idle_timer)()
            is_ended.append(connection.is_closed_within(SHORT))

        kept.loop.call_soon_threadsafe(time_is_over)
        until(lambda: is_ended)
    assert is_ended == [True]


def test_a_connection_over_the_limit_is_refused(server: Served) -> None:
    """It gets a 503 with Retry-After and ends; when a place is free, the next connection is served."""
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


EXPECT = "Expect: 100-continue"
FILE = b'{"filename": "a.mp3", "contentType": "audio/mpeg", "size": 1}'
NEXT = request("POST", CREATE, "Content-Type: application/json", f"Content-Length: {len(FILE)}", body=FILE, keep=True)
UNREAD = {
    "401": f"POST {CREATE} HTTP/1.1\r\nHost: a\r\n{EXPECT}\r\nContent-Length: 2\r\n\r\n".encode(),
    "404": request("POST", "/nowhere", EXPECT, "Content-Length: 2", keep=True),
    "405": request("PUT", CREATE, EXPECT, "Content-Length: 2", keep=True),
    "413": request("POST", CREATE, "Content-Type: application/json", EXPECT, "Content-Length: 65537", keep=True),
    "415": request("POST", CREATE, "Expect: 100-Continue", "Expect: x", "Content-Length: 2", keep=True),
    "200": request("GET", GOOD_PATH, EXPECT, "Content-Length: 0", keep=True),
}


@pytest.mark.parametrize("body", [b"", b"{}"], ids=["no body", "a body"])
@pytest.mark.parametrize("is_in_time", [True, False], ids=["in the same packet", "in a later packet"])
@pytest.mark.parametrize("status", UNREAD)
def test_seq11_behind_an_offered_body_that_was_not_read_nothing_is_a_request(
    status: str, is_in_time: bool, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is the last on its connection, and what looks like a request is neither run nor answered."""
    caplog.set_level("INFO", "broker.access")
    with Served() as server, server.connect() as connection:
        connection.send(UNREAD[status] + (body + NEXT if is_in_time else b""))
        reply = connection.reply()
        connection.send(body + NEXT)
        assert connection.replies() == []
    assert (reply.status, reply.fields["connection"]) == (int(status), "close")
    assert [record.name for record in caplog.records if record.name.startswith("broker")] == ["broker.access"]


def test_seq11_a_client_that_is_refused_is_waited_for_no_longer_than_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends although the client neither sends nor closes."""
    monkeypatch.setattr(protocol, "_LINGER_TIMEOUT", SHORT)
    with served() as server, server.connect() as connection:
        connection.send(UNREAD["401"])
        assert connection.reply().status == 401
        assert connection.is_closed_within(LONG)
        time.sleep(3 * SHORT)  # well past the time of lingering
        assert not server.server.server_state.connections


def test_seq11_an_offered_body_that_was_read_leaves_the_connection_open() -> None:
    """The next request on the connection is answered, in the same packet or later."""
    offered = NEXT.replace(b"Host:", f"{EXPECT}\r\nHost:".encode(), 1)
    with served() as server, server.connect() as connection:
        for pieces in ((offered.removesuffix(FILE), FILE), (offered, b""), (offered + NEXT, b"")):
            connection.send(pieces[0])
            assert connection.reply().status == 100
            connection.send(pieces[1])
            reply = connection.reply()
            assert (reply.status, "connection" in reply.fields) == (201, False)
        assert connection.reply().status == 201


def test_seq11_an_older_client_is_not_sent_an_interim_answer() -> None:
    """RFC 9110, section 10.1.1: the expectation of an HTTP/1.0 request is ignored."""
    older = NEXT.replace(b"HTTP/1.1", f"HTTP/1.0\r\n{EXPECT}".encode(), 1)
    with served() as server:
        assert [reply.status for reply in server.sends(older)] == [201]


def test_seq11_what_asks_for_the_body_after_its_answer_sends_no_interim_answer() -> None:
    """An application that looks whether the client has left writes nothing behind its answer."""

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("done")(scope, receive, send)
        await receive()

    with Served(late, lifespan="off") as server:
        (reply,) = server.sends(UNREAD["401"])
    assert reply.body == b"done"


def test_h18_idle_connections_keep_nobody_out() -> None:
    with served() as server:
        idle = [server.connect() for _ in range(200)]
        assert server.is_well()
        for connection in idle:
            connection.__exit__()


def test_a_refusal_leaves_a_line_in_the_log_and_nothing_of_what_was_sent(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "broker.access"):
        (reply,) = server.sends(b"NONSENSE canary\r\n\r\n")
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert reply.fields["x-request-id"] in line
    assert "canary" not in line


def test_h17_a_kept_connection_that_is_idle_is_closed_and_one_that_is_not_stays() -> None:
    with served(timeout_keep_alive=2) as server, server.connect() as idle, server.connect() as busy:
        for connection in (idle, busy):
            connection.send(request("GET", GOOD_PATH, keep=True))
            assert connection.reply().status == 200
        for _ in range(8):
            time.sleep(0.5)  # four seconds in all, twice the time that idleness is let be
            busy.send(request("GET", GOOD_PATH, keep=True))
            assert busy.reply().status == 200
        assert idle.is_closed_within(SHORT)
        assert busy.is_closed_within(LONG)


def test_a_head_that_has_begun_is_not_idle() -> None:
    head = request("GET", GOOD_PATH, keep=True)
    with served(timeout_keep_alive=2) as server, server.connect() as connection:
        connection.send(head)
        assert connection.reply().status == 200
        time.sleep(1.2)  # less than the keep-alive
        connection.send(head[:20])
        time.sleep(1.2)  # more than it, together
        connection.send(head[20:])
        assert connection.reply().status == 200


def test_an_answer_that_takes_longer_than_a_keep_alive_is_waited_for() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(1.5 if scope["path"] == "/slow" else 0)
            await Response("well")(scope, receive, send)

    with Served(slow, timeout_keep_alive=1, lifespan="off") as server, server.connect() as connection:
        for path in ("/", "/slow", "/"):
            connection.send(request("GET", path, keep=True))
            assert connection.reply().body == b"well"
