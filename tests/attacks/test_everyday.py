"""Requests of common HTTP clients and browsers, which must be accepted, and the limits of what is accepted."""

import json
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from broker import settings
from broker.server import protocol, refusing_protocol, request_cycle
from broker.server.chunked_body import CHUNK_LINE_MAX, FRAMING_MAX
from broker.web.body import BODY_MAX
from tests.web.application import ENVIRONMENT
from tests.web.running_server import GOOD_PATH, Reply, RunningServer, request

CREATE = "/api/v1/uploads"
DOCUMENT = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
FILE = json.dumps(DOCUMENT).encode()
JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(FILE)}"
CHUNKED = "Transfer-Encoding: chunked"
UPGRADES = {
    "h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA"],
    "websocket": ["Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13"],
    "TLS": ["Connection: upgrade", "Upgrade: TLS/1.2"],
    "two": ["Connection: upgrade", "Upgrade: h2c", "Upgrade: foo/2, bar"],
}
PIECES = {"one packet": [], "two packets": [0], "three packets": [0, 20], "in the head": [-30], "in both": [-9, 9]}
"""Where a request is cut, relative to the end of its head."""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """Serve the application for all tests of this module."""
    with RunningServer() as server:
        yield server
        assert server.responds()


def chunks(body: bytes, size: int, trailers: bytes = b"") -> bytes:
    """Return a chunked body with chunks of ``size`` bytes."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


def replies_on_one_connection(server: RunningServer, data: bytes, cuts: Sequence[int] = ()) -> tuple[Reply, Reply]:
    """Send ``data`` in pieces, and another request on the same connection; return both replies."""
    end = data.index(b"\r\n\r\n") + 4
    places = [0, *(end + cut for cut in cuts), len(data)]
    with server.connect() as connection:
        for start, stop in pairwise(places):
            connection.send(data[start:stop])
            time.sleep(0.02 if cuts else 0)  # a packet of its own
        first = connection.reply()
        connection.send(request("GET", GOOD_PATH, keep=True))
        return first, connection.reply()


@pytest.mark.parametrize("cuts", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("offer", UPGRADES.values(), ids=UPGRADES)
def test_e01_body_behind_an_upgrade_is_read(
    server: RunningServer, offer: list[str], framing: str, cuts: list[int]
) -> None:
    """A POST that offers an upgrade is an ordinary request, and its connection serves the next one."""
    is_chunked = framing == "chunked"
    body = chunks(FILE, 30) if is_chunked else FILE
    data = request("POST", CREATE, JSON, *offer, CHUNKED if is_chunked else LENGTH, keep=True, body=body)
    first, second = replies_on_one_connection(server, data, cuts)
    assert (first.status, second.status) == (201, 200)
    assert {"connection", "upgrade"}.isdisjoint(first.fields)


@pytest.mark.parametrize("offer", UPGRADES.values(), ids=UPGRADES)
def test_e01_get_with_an_upgrade_keeps_the_connection(server: RunningServer, offer: list[str]) -> None:
    """A GET that offers an upgrade is served, and so are pipelined requests behind it, each on its own."""
    offered = request("GET", GOOD_PATH, *offer, keep=True)
    assert [reply.status for reply in replies_on_one_connection(server, offered)] == [200, 200]
    bare = b"GET " + GOOD_PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    replies = server.replies_to(offered * 3 + bare + offered + request("GET", GOOD_PATH))
    assert [reply.status for reply in replies] == [200, 200, 200, 401, 200, 200]


def test_e01_offer_with_close_ends_the_connection(server: RunningServer) -> None:
    """An offer beside ``Connection: close``, or in HTTP/1.0, leaves the request the last on its connection."""
    offer = ["Connection: close, Upgrade", "Upgrade: h2c"]
    data = request("POST", CREATE, JSON, *offer, LENGTH, keep=True, body=FILE)
    older = request("POST", CREATE, JSON, *UPGRADES["h2c"], LENGTH, keep=True, body=FILE).replace(b"/1.1", b"/1.0", 1)
    for last in (data, older):
        (reply,) = server.replies_to(last)
        assert (reply.status, reply.fields["connection"]) == (201, "close")


def test_e01_head_over_the_limit_is_refused(server: RunningServer) -> None:
    """An offer to upgrade does not loosen the limits of a head."""
    for fields, status in (([f"X: {'a' * 20_000}"], 431), (["a: b"] * 101, 431), (["Host: b"], 400)):
        (reply,) = server.replies_to(request("POST", CREATE, JSON, *UPGRADES["h2c"], *fields, LENGTH, body=FILE))
        assert reply.status == status


@pytest.mark.parametrize(
    "body",
    [
        chunks(FILE, len(FILE)),
        chunks(FILE, 1),
        chunks(FILE, 7),
        chunks(FILE, 30, b"X-Checksum: abc\r\nServer-Timing: db;dur=1\r\n"),
        chunks(FILE, 30).replace(b"1e\r\n", b"00001E\r\n", 1),
        chunks(FILE, 30).replace(b"1e\r\n", b'1e;a=b;c="d"\r\n', 1),
        chunks(FILE, 30).replace(b"\r\n0\r\n", b"\r\n000;last\r\n", 1),
        chunks(b"\r\n\r\n" + FILE.replace(b",", b",\r\n\r\n") + b"\n\n\r\n", 3),
    ],
    ids=["one chunk", "byte chunks", "some chunks", "trailers", "zeros", "extensions", "last extension", "empty lines"],
)
@pytest.mark.parametrize("is_dripping", [False, True], ids=["one packet", "byte by byte"])
def test_e03_chunked_body_is_read(server: RunningServer, body: bytes, is_dripping: bool) -> None:
    """A chunked body is read, however it is cut, and its connection serves the next request."""
    data = request("POST", CREATE, JSON, CHUNKED, keep=True, body=body)
    first, second = replies_on_one_connection(server, data)
    assert (first.status, second.status) == (201, 200)
    assert "connection" not in first.fields
    if is_dripping:
        with server.connect() as connection:
            for byte in data:
                connection.send(bytes([byte]))
            assert connection.reply().status == 201


def test_e03_chunked_requests_may_be_pipelined(server: RunningServer) -> None:
    """Pipelined chunked requests are served in order."""
    one = request("POST", CREATE, JSON, CHUNKED, keep=True, body=chunks(FILE, 9))
    replies = server.replies_to(one * 3 + request("GET", GOOD_PATH, keep=True) + one + request("GET", GOOD_PATH))
    assert [reply.status for reply in replies] == [201, 201, 201, 200, 201, 200]


def test_e03_broken_pipelined_body_gets_its_own_refusal(server: RunningServer) -> None:
    """A broken body behind a request in flight is a 400 of its own, the last on the connection."""
    good = request("GET", GOOD_PATH, keep=True)
    broken = request("POST", CREATE, JSON, CHUNKED, keep=True, body=b"x\r\n")
    replies = server.replies_to(good + broken + good)
    assert [(reply.status, reply.fields.get("connection")) for reply in replies] == [(200, None), (400, "close")]


def test_e03_continue_is_sent_before_a_chunked_body(server: RunningServer) -> None:
    """A chunked body may be offered by ``Expect: 100-continue``."""
    with server.connect() as connection:
        connection.send(request("POST", CREATE, JSON, CHUNKED, "Expect: 100-continue", keep=True))
        assert connection.reply().status == 100
        connection.send(chunks(FILE, 9))
        assert connection.reply().status == 201


def padded(size: int) -> bytes:
    """Return a valid body of ``size`` bytes."""
    return FILE + b" " * (size - len(FILE))


@pytest.mark.parametrize(("size", "status"), [(BODY_MAX, 201), (BODY_MAX + 1, 413), (3_000_000, 413)])
def test_e03_chunked_body_has_the_limit_of_any_body(server: RunningServer, size: int, status: int) -> None:
    """A chunked body of one byte more than the limit is a 413."""
    data = request("POST", CREATE, JSON, CHUNKED, keep=True, body=chunks(padded(size), 8000))
    with server.connect() as connection:
        connection.send(data)
        reply = connection.reply()
    assert reply.status == status
    if status == 413:
        assert reply.code == "too_large"


def test_e03_endless_chunked_body_ends_the_connection(server: RunningServer) -> None:
    """A chunked body that does not end is refused at the limit, and the connection ends."""
    with server.connect() as connection:
        connection.send(request("POST", CREATE, JSON, CHUNKED, keep=True) + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 40)
        (reply,) = connection.replies()
    assert (reply.status, reply.fields["connection"]) == (413, "close")


@pytest.mark.parametrize(("excess", "status"), [(0, 201), (1, 400)])
def test_e03_line_before_a_chunk_is_bounded(server: RunningServer, excess: int, status: int) -> None:
    """A size with extensions of one byte more than the limit is a 400."""
    line = b"%x;" % len(FILE)
    line += b"e" * (CHUNK_LINE_MAX + excess - len(line) - 2) + b"\r\n"
    body = line + FILE + b"\r\n0\r\n\r\n"
    (reply,) = server.replies_to(request("POST", CREATE, JSON, CHUNKED, body=body))
    assert reply.status == status


@pytest.mark.parametrize(("excess", "status"), [(0, 201), (1, 400)])
@pytest.mark.parametrize("last", ["extension", "trailer"])
def test_e03_framing_is_bounded(server: RunningServer, excess: int, status: int, last: str) -> None:
    """Framing of one byte more than the limit is a 400, wherever the last byte is."""
    count = FRAMING_MAX // 5 - 40
    body = chunks(padded(count), 1)[: -len(b"0\r\n\r\n")]
    left = FRAMING_MAX + excess - 5 * count - len(b"0\r\n\r\n")
    rest = b";" + b"e" * (left - 1) if last == "extension" else b""
    trailer = b"T: " + b"t" * (left - 5) + b"\r\n" if last == "trailer" else b""
    body += b"0" + rest + b"\r\n" + trailer + b"\r\n"
    with server.connect() as connection:
        connection.send(request("POST", CREATE, JSON, CHUNKED, keep=True, body=body))
        assert connection.reply().status == status


@pytest.mark.parametrize(
    ("trailers", "status"),
    [
        (b"a: b\r\n" * 100, 201),
        (b"a: b\r\n" * 101, 431),
        (b"".join(b"t%d: %b\r\n" % (n, b"x" * 4000) for n in range(5)), 431),
        (b"a: " + b"x" * 70_000 + b"\r\n", 400),
        (b"a: " + b"x" * 70_000, 400),
        (b"Authorization: Bearer x\r\nContent-Encoding: gzip\r\n", 201),
    ],
    ids=["100", "101", "20 kB", "70 kB", "endless", "names"],
)
def test_e03_trailers_are_bounded_and_dropped(server: RunningServer, trailers: bytes, status: int) -> None:
    """Trailers have the limits of header fields, and no other effect."""
    data = request("POST", CREATE, JSON, CHUNKED, body=chunks(FILE, 50, trailers))
    (reply,) = server.replies_to(data)
    assert reply.status == status


def test_e03_missing_chunks_are_a_408(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunked body that does not arrive has the deadline of any body."""
    monkeypatch.setattr(request_cycle, "BODY_DEADLINE", 0.3)
    (reply,) = server.replies_to(request("POST", CREATE, JSON, CHUNKED, keep=True, body=b"2\r\n{}\r\n"))
    assert (reply.status, reply.fields["connection"]) == (408, "close")


@pytest.mark.parametrize("path", ["/nowhere", "/healthz"])
def test_e03_response_before_the_end_ends_the_connection(server: RunningServer, path: str) -> None:
    """A response before the end of a chunked body is the last on its connection, and later bytes do not run."""
    with server.connect() as connection:
        connection.send(request("GET", path, CHUNKED, keep=True, body=b"2\r\n{}\r\n"))
        reply = connection.reply()
        connection.send(b"0\r\n\r\n" + request("GET", GOOD_PATH))
        assert connection.replies() == []
    assert reply.fields["connection"] == "close"


def test_e03_optional_body_may_be_chunked(server: RunningServer) -> None:
    """An optional body may be chunked: an empty one, and one with a document."""
    confirm = f"{CREATE}/x/confirm"
    for fields, body, status in (([], b"", 404), ([JSON], b"{}", 404), ([], b"{}", 415), ([JSON], b"{", 400)):
        data = request("POST", confirm, CHUNKED, *fields, keep=True, body=chunks(body, 9))
        assert replies_on_one_connection(server, data)[0].status == status


IDLE = [4.9, 5.1, 30, 59]


@pytest.mark.parametrize("seconds", IDLE)
def test_e04_idle_connection_serves_a_post(server: RunningServer, seconds: float) -> None:
    """A connection serves a POST after a pause that is shorter than the keep-alive period, by the server's clock."""
    with server.connect() as connection:
        connection.send(request("GET", GOOD_PATH, keep=True))
        assert connection.reply().status == 200
        port = connection._socket.getsockname()[1]
        connections = server.server.server_state.connections
        (kept,) = [
            each for each in connections if isinstance(each, protocol.HttpProtocol) and port in (each.client or ())
        ]
        kept._idle_since -= seconds
        kept.loop.call_soon_threadsafe(kept._on_idle_timer)
        time.sleep(0.1)  # the timer has expired
        connection.send(request("POST", CREATE, JSON, LENGTH, keep=True, body=FILE))
        assert connection.reply().status == 201


@pytest.mark.parametrize(("value", "seconds"), [("", 75), ("2", 2), ("2m", 120)])
def test_e04_keep_alive_is_a_setting(value: str, seconds: int) -> None:
    """The keep-alive period is 75 seconds, or what the deployment sets."""
    environment = {**ENVIRONMENT, "BROKER_KEEP_ALIVE": value}
    assert settings.parse(environment).keep_alive == seconds
    with RunningServer(environment=environment) as server:
        assert server.server.config.timeout_keep_alive == seconds


ORIGIN = "https://app.example"
TWO = {**ENVIRONMENT, "BROKER_CORS_ORIGINS": f"{ORIGIN}, capacitor://localhost"}
ONE = {**ENVIRONMENT, "BROKER_CORS_ORIGINS": ORIGIN}
ALL = {**ENVIRONMENT, "BROKER_CORS_ORIGINS": "*"}


@pytest.fixture(scope="module")
def for_pages() -> Iterator[RunningServer]:
    """Serve the application with two listed origins."""
    with RunningServer(environment=TWO) as server:
        yield server
        assert server.responds()


@pytest.mark.parametrize("origin", [ORIGIN, "capacitor://localhost"])
@pytest.mark.parametrize(
    "requested",
    [
        "authorization,content-type,traceparent,baggage",
        "tracestate, sentry-trace",
        "authorization, x-unlisted",
        ",,",
        "*",
        "x" * 9000,
    ],
)
def test_e07_preflight_gets_what_is_allowed(for_pages: RunningServer, origin: str, requested: str) -> None:
    """A preflight gets the list of allowed fields and methods, whatever it requests."""
    fields = [f"Origin: {origin}", "Access-Control-Request-Method: POST"]
    data = request("OPTIONS", CREATE, *fields, f"Access-Control-Request-Headers: {requested}")
    (reply,) = for_pages.replies_to(data)
    allowed = reply.fields["access-control-allow-headers"].lower().split(", ")
    assert (reply.status, reply.body, reply.fields["access-control-allow-origin"]) == (200, b"", origin)
    assert {"authorization", "idempotency-key", "traceparent", "tracestate", "baggage", "sentry-trace"} <= {*allowed}
    assert "x-unlisted" not in allowed
    assert "*" not in allowed
    assert int(reply.fields["access-control-max-age"]) > 0


UNPARSED = {
    "400": request("GET", "no path"),
    "400 of a field": request("GET", GOOD_PATH, "no colon"),
    "411": request("POST", CREATE, "Transfer-Encoding: gzip"),
    "414": request("GET", f"/{'x' * 9000}"),
    "431": request("GET", GOOD_PATH, f"X: {'x' * 20_000}"),
    "431 of fields": request("GET", GOOD_PATH, *["a: b"] * 101),
}


def with_origin(head: bytes, origin: str, *, is_first: bool = False) -> bytes:
    """Return the head with an Origin field, as the first or as the last."""
    field = f"Origin: {origin}\r\n".encode()
    return head.replace(b"Host:", field + b"Host:", 1) if is_first else head[:-2] + field + b"\r\n"


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("name", UNPARSED)
def test_e07_page_can_read_every_refusal(for_pages: RunningServer, name: str, is_first: bool) -> None:
    """A refusal of a head has the CORS fields of its listed origin, wherever the Origin stands, and no others."""
    for origin, allowed in ((ORIGIN, ORIGIN), ("capacitor://localhost", "capacitor://localhost"), ("null", None)):
        (reply,) = for_pages.replies_to(with_origin(UNPARSED[name], origin, is_first=is_first))
        assert str(reply.status) == name[:3]
        assert reply.fields.get("access-control-allow-origin") == allowed
        assert "Origin" in reply.fields["vary"]
        if allowed:
            assert (
                reply.fields["access-control-expose-headers"]
                == "Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
            )


def test_e07_origin_may_arrive_after_the_refused_bytes(
    for_pages: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response to a token of 20 KiB waits for the Origin field that follows it."""
    monkeypatch.setattr(refusing_protocol, "ORIGIN_TIMEOUT", 20.0)
    data = with_origin(request("GET", GOOD_PATH, f"X-Token: {'x' * 20_000}"), ORIGIN)
    with for_pages.connect() as connection:
        for part in (data[:18_000], data[18_000:19_000], data[19_000:-9], data[-9:]):
            connection.send(part)
            time.sleep(0.05)  # a packet of its own
        (reply,) = connection.replies()
    assert (reply.status, reply.fields["access-control-allow-origin"]) == (431, ORIGIN)


@pytest.mark.parametrize("rest", [b"", b"x" * 100_000], ids=["silent", "endless"])
def test_e07_refusal_does_not_wait_for_long(
    for_pages: RunningServer, monkeypatch: pytest.MonkeyPatch, rest: bytes
) -> None:
    """Without an Origin the response is sent after a moment, or after some bytes more."""
    monkeypatch.setattr(refusing_protocol, "ORIGIN_TIMEOUT", 0.2)
    (reply,) = for_pages.replies_to(request("GET", GOOD_PATH, f"X: {'x' * 20_000}")[:-4] + rest)
    assert reply.status == 431
    assert "access-control-allow-origin" not in reply.fields


def test_e07_head_without_origin_gets_no_fields(for_pages: RunningServer) -> None:
    """A refusal to a client that is not a page names no origin, also if a body contains one."""
    body = f"\r\nOrigin: {ORIGIN}\r\n\r\n".encode()
    (reply,) = for_pages.replies_to(request("POST", CREATE, "Transfer-Encoding: gzip", body=body))
    assert (reply.status, "access-control-allow-origin" in reply.fields) == (411, False)


@pytest.mark.parametrize(("environment", "allowed"), [(ONE, ORIGIN), (TWO, None), (ALL, "*"), (ENVIRONMENT, None)])
def test_e07_connection_over_the_limit_is_readable(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], allowed: str | None
) -> None:
    """A 503 that is sent before the request names the only listed origin; with several, it waits for the Origin."""
    monkeypatch.setattr(refusing_protocol, "ORIGIN_TIMEOUT", 0.2)
    with RunningServer(environment=environment, limit_concurrency=0) as server:
        with server.connect() as connection:
            (silent,) = connection.replies()
        (reply,) = server.replies_to(with_origin(request("GET", GOOD_PATH), ORIGIN))
    assert (silent.status, silent.fields.get("access-control-allow-origin")) == (503, allowed)
    assert reply.fields.get("access-control-allow-origin") == (ORIGIN if environment is TWO else allowed)


def test_e07_late_head_is_readable(for_pages: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 408 names the origin that has arrived."""
    monkeypatch.setattr(protocol, "HEAD_DEADLINE", 0.2)
    (reply,) = for_pages.replies_to(with_origin(request("GET", GOOD_PATH), ORIGIN)[:-2])
    assert (reply.status, reply.fields["access-control-allow-origin"]) == (408, ORIGIN)
