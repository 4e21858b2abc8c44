"""The protocol of a connection, over sockets and with short deadlines: heads, bodies and ``Expect``."""

import threading
import time
from collections.abc import Iterator

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.server import protocol, refusing_protocol, request_cycle
from tests.web.running_server import GOOD_PATH, RunningServer, request, running_server

CREATE = "/api/v1/uploads"
SHORT = 0.3
LONG = 20.0  # far more than a shortened deadline, also on a busy machine


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the deadlines."""
    monkeypatch.setattr(protocol, "HEAD_DEADLINE", SHORT)
    monkeypatch.setattr(request_cycle, "BODY_DEADLINE", SHORT)


@pytest.fixture
def server(short_deadlines: None) -> Iterator[RunningServer]:
    """Yield a server with short deadlines, which must still respond at the end."""
    with running_server() as server:
        yield server


def json_head(length: int) -> bytes:
    """Return the head of a create."""
    return request("POST", CREATE, "Content-Type: application/json", f"Content-Length: {length}", keep=True)


def test_h17_silent_connection_is_closed(server: RunningServer) -> None:
    """A connection on which nothing is sent is closed at the deadline of a head."""
    with server.connect() as connection:
        assert connection.is_closed_within(LONG)


@pytest.mark.parametrize("start", [b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"G"])
def test_h17_incomplete_head_is_a_408(server: RunningServer, start: bytes) -> None:
    """An incomplete head gets a 408, and the connection ends."""
    with server.connect() as connection:
        connection.send(start)
        (reply,) = connection.replies()
    assert (reply.status, reply.code) == (408, "request_timeout")


def test_h17_slow_head_does_not_extend_the_deadline(server: RunningServer) -> None:
    """A head that arrives byte by byte gets a 408 at the same deadline."""
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


def test_h17_second_head_has_a_deadline(server: RunningServer) -> None:
    """An incomplete second head on a connection gets a 408 too."""
    with server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        connection.send(b"GET /healthz HT")
        (reply,) = connection.replies()
    assert reply.status == 408


def test_h17_empty_lines_do_not_hold_a_connection(server: RunningServer) -> None:
    """A connection on which only an empty line follows a request is closed."""
    with server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        connection.send(b"\r\n")
        assert [reply.status for reply in connection.replies()] in ([], [408])


def test_b03_missing_body_is_a_408(server: RunningServer) -> None:
    """A body that does not arrive gets a 408, and the connection ends."""
    with server.connect() as connection:
        connection.send(json_head(100) + b"{")
        (reply,) = connection.replies()
    assert (reply.status, reply.code) == (408, "request_timeout")
    assert reply.fields["connection"] == "close"


def test_b03_body_after_response_does_not_hold_connection(server: RunningServer) -> None:
    """A connection on which the rest of a body does not arrive after the response is closed."""
    with server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, "Content-Length: 100", keep=True))
        assert connection.reply().status == 200
        connection.send(b"a")
        assert connection.is_closed_within(LONG)


def test_b01_body_over_the_limit_gets_a_413(server: RunningServer) -> None:
    """A body over the limit is refused unread, and the response arrives although the client sends."""
    with server.connect() as connection:
        connection.send(json_head(50_000_000) + b"a" * 5_000_000)
        (reply,) = connection.replies()
    assert (reply.status, reply.code) == (413, "too_large")
    assert reply.fields["connection"] == "close"


def test_b01_client_that_keeps_sending_is_disconnected(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that keeps sending after a refusal is disconnected when the linger timeout ends."""
    monkeypatch.setattr(refusing_protocol, "LINGER_TIMEOUT", SHORT)
    with server.connect() as connection:
        connection.send(json_head(50_000_000))
        assert connection.reply().status == 413
        connection.send(b"a")
        assert connection.is_closed_within(LONG)


def test_b04_bytes_after_a_body_are_refused(server: RunningServer) -> None:
    """Bytes after the declared body are not read as part of it, and at most get a 400."""
    with server.connect() as connection:
        connection.send(json_head(2) + b"{}" + b"a" * 5000)
        replies = connection.replies()
    assert [reply.status for reply in replies] in ([422], [422, 400])


def test_refused_body_keeps_the_connection(server: RunningServer) -> None:
    """After a refused body that has arrived, the connection serves the next request."""
    with server.connect() as connection:
        connection.send(json_head(2) + b"{}")
        assert connection.reply().status == 422
        connection.send(request("GET", GOOD_PATH))
        assert connection.reply().status == 200


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
def test_seq11_bytes_after_refused_expectation_are_ignored(
    status: str, is_in_time: bool, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A response before an offered body is the last on its connection, and later bytes are not run as a request."""
    caplog.set_level("INFO", "broker.access")
    with RunningServer() as server, server.connect() as connection:
        connection.send(UNREAD[status] + (body + NEXT if is_in_time else b""))
        reply = connection.reply()
        connection.send(body + NEXT)
        assert connection.replies() == []
    assert (reply.status, reply.fields["connection"]) == (int(status), "close")
    assert [record.name for record in caplog.records if record.name.startswith("broker")] == ["broker.access"]


def test_seq11_refused_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends even if the refused client neither sends nor closes."""
    monkeypatch.setattr(refusing_protocol, "LINGER_TIMEOUT", SHORT)
    with running_server() as server, server.connect() as connection:
        connection.send(UNREAD["401"])
        assert connection.reply().status == 401
        assert connection.is_closed_within(LONG)
        time.sleep(3 * SHORT)  # longer than the linger timeout
        assert not server.server.server_state.connections


def test_seq11_accepted_body_keeps_the_connection() -> None:
    """After an offered body that was read, the next request is served, in the same packet or later."""
    offered = NEXT.replace(b"Host:", f"{EXPECT}\r\nHost:".encode(), 1)
    with running_server() as server, server.connect() as connection:
        for pieces in ((offered.removesuffix(FILE), FILE), (offered, b""), (offered + NEXT, b"")):
            connection.send(pieces[0])
            assert connection.reply().status == 100
            connection.send(pieces[1])
            reply = connection.reply()
            assert (reply.status, "connection" in reply.fields) == (201, False)
        assert connection.reply().status == 201


def test_seq11_http_1_0_gets_no_interim_response() -> None:
    """The expectation of an HTTP/1.0 request is ignored (RFC 9110, section 10.1.1)."""
    older = NEXT.replace(b"HTTP/1.1", f"HTTP/1.0\r\n{EXPECT}".encode(), 1)
    with running_server() as server:
        assert [reply.status for reply in server.replies_to(older)] == [201]


def test_seq11_late_receive_sends_no_interim_response() -> None:
    """An application that receives after its response causes no interim response."""

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("done")(scope, receive, send)
        await receive()

    with RunningServer(late, lifespan="off") as server:
        (reply,) = server.replies_to(UNREAD["401"])
    assert reply.body == b"done"


def test_h18_idle_connections_do_not_block_others() -> None:
    """A request is served while 200 connections are idle."""
    with running_server() as server:
        idle = [server.connect() for _ in range(200)]
        assert server.responds()
        for connection in idle:
            connection.__exit__()


def test_refusal_is_logged_without_the_request(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is logged with its request id, but without the bytes of the request."""
    with caplog.at_level("INFO", "broker.access"):
        (reply,) = server.replies_to(b"NONSENSE canary\r\n\r\n")
    (line,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert reply.fields["x-request-id"] in line
    assert "canary" not in line
