"""Requests that are malformed HTTP, too large or too slow, or hide a second meaning: a test for each row.

All go over a socket to the served application. Each row gets no 5xx and no URL, makes no request to the store, and the
next valid request is served.
"""

import re
from collections.abc import Iterator

import pytest

from tests.web.application import KEY, token
from tests.web.running_server import GOOD_PATH, Reply, RunningServer, request

CREATE = "/api/v1/uploads"
FILE = b'{"filename":"a.mp3","contentType":"audio/mpeg","size":10}'
JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(FILE)}"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(FILE), FILE)


@pytest.fixture(scope="module")
def served_app() -> Iterator[RunningServer]:
    """Serve the application for all tests of this module."""
    with RunningServer() as server:
        yield server


@pytest.fixture
def server(served_app: RunningServer) -> Iterator[RunningServer]:
    """Return the server, which must serve a valid request after each test."""
    yield served_app
    assert served_app.responds()


def refusal(server: RunningServer, data: bytes) -> Reply:
    """Send ``data``; return its only response, a refusal that ends the connection."""
    (reply,) = server.replies_to(data)
    assert 400 <= reply.status < 500
    assert b"https://" not in re.sub(rb'"type":"[^"]*"', b"", reply.body)
    assert reply.fields["connection"] == "close"
    assert "server" not in reply.fields
    return reply


def lines(*parts: str) -> bytes:
    """Join the lines of a request head."""
    return "\r\n".join([*parts, "", ""]).encode("latin-1")


BEARER = f"Authorization: Bearer {token()}"
HOST = "Host: broker.example"
SMUGGLED = request("GET", GOOD_PATH)
UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"


@pytest.mark.parametrize(
    "override", ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"]
)
def test_h01_method_cannot_be_overridden(server: RunningServer, override: str) -> None:
    """Neither a header field nor a query parameter overrides the method."""
    (reply,) = server.replies_to(request("GET", f"{GOOD_PATH}?filename=a.mp3", override))
    assert reply.status == 200
    assert refusal(server, request("POST", f"{GOOD_PATH}?_method=GET", "Content-Length: 0")).status == 405


@pytest.mark.parametrize("path", [CREATE, f"{CREATE}/x/confirm", f"{CREATE}/x/parts", "/api/v1/objects/delete"])
def test_h02_head_needs_a_get(server: RunningServer, path: str) -> None:
    """HEAD is a 405 where the resource has no GET."""
    with server.connect() as connection:
        connection.send(request("HEAD", path))
        assert connection._socket.recv(1 << 16).startswith(b"HTTP/1.1 405 ")


def test_h02_head_response_has_no_body(server: RunningServer) -> None:
    """The response to HEAD has no body."""
    with server.connect() as connection:
        connection.send(request("HEAD", GOOD_PATH))
        assert connection._socket.recv(1 << 16).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", [CREATE, GOOD_PATH, "/healthz", "/nowhere"])
def test_h03_options_runs_no_handler(server: RunningServer, path: str) -> None:
    """OPTIONS is refused and gets no CORS header fields."""
    fields = "Access-Control-Request-Method: X\r\nAccess-Control-Request-Headers: ,,\r\nOrigin: https://evil.test"
    reply = refusal(server, lines(f"OPTIONS {path} HTTP/1.1", HOST, "Connection: close", fields))
    assert reply.status in (404, 405)
    assert not [name for name in reply.fields if name.startswith("access-control-")]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "FOO", "X" * 40])
def test_h04_unknown_methods_are_refused_without_echo(server: RunningServer, method: str) -> None:
    """An unknown method is refused, and the response does not repeat it."""
    reply = refusal(server, request(method, GOOD_PATH))
    assert reply.status in (400, 405)
    assert method.encode() not in reply.body


def test_h05_smuggled_request_is_not_run(server: RunningServer) -> None:
    """A request behind a body with two framings is not run."""
    for framing in (("Content-Length: 6", CHUNKED), (CHUNKED, "Content-Length: 6"), (CHUNKED, "Content-Length: 0")):
        smuggling = request("POST", CREATE, JSON, *framing, keep=True, body=b"0\r\n\r\n")
        assert refusal(server, smuggling + SMUGGLED).status in (400, 411)


@pytest.mark.parametrize(
    "coding",
    [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: Chunked",
        "Transfer-Encoding: chunked ",
        "Transfer-Encoding:  chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
        "transfer-encoding: chunked\r\nTransfer-Encoding: identity",
    ],
)
def test_h06_transfer_codings_are_refused(server: RunningServer, coding: str) -> None:
    """Every transfer coding but ``chunked`` alone in one spelling is refused, and the bytes behind it do not run."""
    reply = refusal(server, request("POST", CREATE, JSON, coding, keep=True, body=CHUNKS) + SMUGGLED)
    assert (reply.status, reply.code) in ((411, "length_required"), (400, "invalid_request"))


def test_h06_chunked_needs_http_1_1(server: RunningServer) -> None:
    """A chunked body in HTTP/1.0 is refused (RFC 9112, section 6.1)."""
    older = request("POST", CREATE, JSON, CHUNKED, keep=True, body=CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    assert refusal(server, older + SMUGGLED).status == 411


@pytest.mark.parametrize("size", [1, 7, 60])
def test_h06_spelling_is_checked_in_pieces(server: RunningServer, size: int) -> None:
    """The spelling of a transfer coding is checked in a head that arrives in pieces, too."""
    for coding in ("Transfer-Encoding:\tchunked", "Transfer-Encoding:  chunked"):
        data = request("POST", CREATE, JSON, coding, body=CHUNKS) + SMUGGLED
        with server.connect() as connection:
            for at in range(0, len(data), size):
                connection.send(data[at : at + size])
            (reply,) = connection.replies()
        assert (reply.status, reply.fields["connection"]) == (411, "close")


@pytest.mark.parametrize(
    "value", ["2, 2", "+2", "-1", "0x2", "1e3", "1" + "0" * 30, "", "2 2", "2\r\nContent-Length: 2"]
)
def test_h07_length_must_be_one_number(server: RunningServer, value: str) -> None:
    """A Content-Length that is not one whole number is refused."""
    reply = refusal(server, request("POST", CREATE, JSON, f"Content-Length: {value}", body=b"{}"))
    assert reply.status in (400, 411)


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\r\nhello!!\r\n",
        b"0x1\r\na\r\n0\r\n\r\n",
        b"1\na\n0\n\n",
        b"1;" + b"e" * 1024,
        b"1;" + b"e" * 1024 + b"\r\n{\r\n0\r\n\r\n",
        b"f" * 18 + b"\r\n",
        b"-1\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"2 \r\n{}\r\n0\r\n\r\n",
        b"\r\n2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0" * 1000 + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("is_in_one_piece", [True, False], ids=["one piece", "pieces"])
def test_h08_broken_chunks_are_refused(server: RunningServer, chunks: bytes, is_in_one_piece: bool) -> None:
    """Broken chunks are a 400, and the bytes behind them do not run."""
    data = request("POST", CREATE, JSON, CHUNKED, keep=True, body=chunks) + SMUGGLED
    if is_in_one_piece:
        assert refusal(server, data).status == 400
        return
    with server.connect() as connection:
        for at in range(len(data)):
            connection.send(data[at : at + 1])
        (reply,) = connection.replies()
    assert (reply.status, reply.fields["connection"]) == (400, "close")


TRAILERS = [f"{BEARER}x", "X-Forwarded-For: 6.6.6.6", "X-Request-Id: smuggled", "Content-Type: text/plain", "Host: b"]


@pytest.mark.parametrize("trailer", TRAILERS)
def test_h09_trailers_are_not_header_fields(server: RunningServer, trailer: str) -> None:
    """A trailer field is read and dropped: it gives no permission, and takes none."""
    chunks = b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(FILE), FILE, trailer.encode())
    (reply,) = server.replies_to(request("POST", CREATE, JSON, CHUNKED, body=chunks))
    assert (reply.status, reply.fields["x-request-id"] == "smuggled") == (201, False)
    bare = lines(f"POST {CREATE} HTTP/1.1", HOST, JSON, CHUNKED, "Connection: close")
    assert refusal(server, bare + chunks.replace(trailer.encode(), BEARER.encode())).status == 401


@pytest.mark.parametrize(
    "head",
    [
        request("GET", GOOD_PATH).replace(b"\r\n", b"\n"),
        request("GET", GOOD_PATH, "X-Odd: a\rb"),
        request("GET", GOOD_PATH, "X-Odd: a\0b"),
        request("GET", GOOD_PATH, "X-Odd: a\r\n b"),
        request("GET", GOOD_PATH, "X Odd: a"),
        request("GET", GOOD_PATH, "X-Odd\xff: a"),
        request("GET", GOOD_PATH, ": a"),
    ],
    ids=["bare LF", "bare CR", "NUL", "folded", "blank in a name", "0xff in a name", "no name"],
)
def test_h10_malformed_header_lines_are_refused(server: RunningServer, head: bytes) -> None:
    """Line ends and bytes outside of the grammar of RFC 9112 are a 400."""
    assert refusal(server, head).status == 400


@pytest.mark.parametrize(
    "hosts",
    [[], [HOST, HOST], ["Host: a/b?c@d"], ["Host: a b"], ["Host: user@a"], ["Host: a\\b"]],
    ids=["none", "two", "path", "blank", "userinfo", "backslash"],
)
def test_h11_one_valid_host_is_required(server: RunningServer, hosts: list[str]) -> None:
    """A request needs exactly one valid Host."""
    reply = refusal(server, lines(f"GET {GOOD_PATH} HTTP/1.1", *hosts, BEARER))
    assert (reply.status, reply.code) == (400, "invalid_request")


def test_h11_host_is_not_reflected(server: RunningServer) -> None:
    """The response does not contain the Host of the request."""
    reply = refusal(server, lines("GET /healthz/ HTTP/1.1", "Host: evil.test", "Connection: close"))
    assert reply.status == 404
    assert b"evil" not in reply.body


@pytest.mark.parametrize("target", ["evil.test:443", "*", "GET", "?", "", "http://", "//evil.test/", "\xe9"])
def test_h12_target_must_be_a_path(server: RunningServer, target: str) -> None:
    """A request target that is not a path is refused."""
    assert refusal(server, request("GET", target)).status in (400, 404)


def test_h12_absolute_target_has_the_same_checks(server: RunningServer) -> None:
    """An absolute target is the same resource with the same checks."""
    (good,) = server.replies_to(request("GET", f"http://evil.test{GOOD_PATH}"))
    assert good.status == 200
    assert b"evil" not in good.body
    absolute = lines(f"GET http://evil.test{GOOD_PATH} HTTP/1.1", HOST, "Connection: close")
    assert refusal(server, absolute).status == 401


@pytest.mark.parametrize(
    "forwarded",
    [
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Prefix: /evil",
        "X-Forwarded-Uri: /healthz\r\nX-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz",
        "Forwarded: for=127.0.0.1;host=evil.test",
        "X_Forwarded_For: 127.0.0.1",
        "Connection: close, x-forwarded-for, authorization",
    ],
)
def test_h13_forwarded_fields_are_ignored(server: RunningServer, forwarded: str) -> None:
    """Forwarded header fields change neither the response nor the authentication."""
    (reply,) = server.replies_to(request("GET", GOOD_PATH, forwarded))
    assert reply.status == 200
    assert b"evil" not in reply.body
    bare = lines(f"GET {GOOD_PATH} HTTP/1.1", HOST, "Connection: close", forwarded)
    assert refusal(server, bare).status == 401


@pytest.mark.parametrize("size", [16 * 1024, 64 * 1024, 1024 * 1024, 20 * 1024 * 1024])
@pytest.mark.parametrize("ends", [True, False])
def test_h14_huge_head_is_refused(server: RunningServer, size: int, ends: bool) -> None:
    """A head over 16 KiB is refused, also before it ends."""
    head = request("GET", GOOD_PATH, f"X-Huge: {'a' * size}")
    reply = refusal(server, head if ends else head[:-4])
    assert (reply.status, reply.code) == (431, "head_too_large")


def test_h14_head_under_16_kib_is_served(server: RunningServer) -> None:
    """A head of nearly 16 KiB is served."""
    (reply,) = server.replies_to(request("GET", GOOD_PATH, f"X-Large: {'a' * (15 * 1024)}"))
    assert reply.status == 200


def test_h15_too_many_fields_are_refused(server: RunningServer) -> None:
    """A request with more than 100 header fields is refused."""
    assert refusal(server, request("GET", GOOD_PATH, *["a: b"] * 10_000)).status == 431
    assert refusal(server, request("GET", GOOD_PATH, *["a: b"] * 101)).status == 431


@pytest.mark.parametrize("size", [8 * 1024 + 1, 60_000, 1_000_000])
def test_h16_long_target_is_refused(server: RunningServer, size: int) -> None:
    """A request target over 8 KiB is refused."""
    reply = refusal(server, request("GET", f"{GOOD_PATH}?filename={'a' * size}"))
    assert (reply.status, reply.code) == (414, "target_too_long")


@pytest.mark.parametrize("count", [5, 200])
def test_h19_pipelined_requests_are_each_authenticated(server: RunningServer, count: int) -> None:
    """Pipelined requests are served in order, and each one is authenticated on its own."""
    bare = lines(f"GET {GOOD_PATH} HTTP/1.1", HOST)
    pairs = b"".join(request("GET", GOOD_PATH, keep=True) + bare for _ in range(count // 2))
    replies = server.replies_to(pairs + request("GET", GOOD_PATH))
    assert [reply.status for reply in replies] == [200, 401] * (count // 2) + [200]


def test_h19_bad_pipelined_request_gets_no_response(server: RunningServer) -> None:
    """A malformed request behind a valid one ends the connection without a second response."""
    replies = server.replies_to(request("GET", GOOD_PATH, keep=True) + b"NONSENSE\r\n\r\n" + SMUGGLED)
    assert [reply.status for reply in replies] == [200]


def test_h20_continue_needs_a_valid_token(server: RunningServer) -> None:
    """The server sends 100 (Continue) only for a request with a valid token."""
    bare = lines(f"POST {CREATE} HTTP/1.1", HOST, JSON, LENGTH, "Expect: 100-continue", "Connection: close")
    assert refusal(server, bare).status == 401
    known = request("POST", CREATE, JSON, LENGTH, "Expect: 100-continue", body=FILE)
    assert [reply.status for reply in server.replies_to(known)] == [100, 201]
    junk = request("POST", CREATE, JSON, LENGTH, "Expect: junk", body=FILE)
    assert [reply.status for reply in server.replies_to(junk)] == [201]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["HTTP/0.9", "HTTP/9.9", "HTTP/2", "TLS"],
)
def test_h21_other_protocols_are_refused(server: RunningServer, head: bytes) -> None:
    """Bytes of other protocols and HTTP versions are a 400."""
    assert refusal(server, head).status == 400


def test_h21_http_1_0_connection_is_closed(server: RunningServer) -> None:
    """A request of HTTP/1.0 needs no Host, and its connection is closed."""
    (reply,) = server.replies_to(lines(f"GET {GOOD_PATH} HTTP/1.0", BEARER))
    assert (reply.status, reply.fields["connection"]) == (200, "close")


@pytest.mark.parametrize(
    "protocol", ["h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "websocket\r\nSec-WebSocket-Version: 13"]
)
def test_h21_upgrade_is_ignored(server: RunningServer, protocol: str) -> None:
    """A request to upgrade is served as a plain request, and so is the next one (E01)."""
    upgrade = lines(f"GET {GOOD_PATH} HTTP/1.1", HOST, BEARER, "Connection: Upgrade", f"Upgrade: {protocol}")
    replies = server.replies_to(upgrade + request("GET", GOOD_PATH))
    assert [(reply.status, reply.fields.get("connection")) for reply in replies] == [(200, None), (200, "close")]


@pytest.mark.parametrize(
    "framing",
    [
        ["Content-Length: 6", CHUNKED],
        [CHUNKED, CHUNKED],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding:\tchunked"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: 2, 2"],
        [CHUNKED, HOST],
    ],
)
def test_h05_upgrade_hides_no_second_framing(server: RunningServer, framing: list[str]) -> None:
    """An offer to upgrade does not loosen the rules for the length of a body (H06, H07)."""
    offer = request("POST", CREATE, JSON, UPGRADE, *framing, keep=True, body=b"0\r\n\r\n")
    assert refusal(server, offer + SMUGGLED).status in (400, 411)


@pytest.mark.parametrize("target", ["a:443", "broker.example:80", "[::1]:443", "/", GOOD_PATH, "http://a/"])
@pytest.mark.parametrize("offer", [[], ["Connection: Upgrade", "Upgrade: h2c"]], ids=["plain", "upgrade"])
def test_h04_connect_opens_no_tunnel(server: RunningServer, target: str, offer: list[str]) -> None:
    """CONNECT is refused, and the bytes behind it do not run."""
    assert refusal(server, request("CONNECT", target, *offer, keep=True) + SMUGGLED).status in (400, 405)


@pytest.mark.parametrize(
    "key",
    [
        f"media/../{KEY}",
        KEY.replace("/", "%252f"),
        f"%2e%2e/{KEY}",
        f"/{KEY}",
        f"{KEY}%00",
        f"{KEY}%ff%fe",
        f"{KEY};x",
        KEY.replace("/", "\\"),
        f"{KEY}%zz",
        f"{KEY}%0d%0a",
        f"{KEY}%0a",
        f"{KEY}/",
    ],
)
def test_h22_key_has_one_spelling(server: RunningServer, key: str) -> None:
    """Every other spelling of a key in a path is refused (P02)."""
    assert refusal(server, request("GET", f"/api/v1/downloads/{key}")).status in (400, 404)


@pytest.mark.parametrize(
    "path", ["/HEALTHZ", "/healthz/", "/./healthz", "//healthz", "/api/v1//uploads", "/Api/V1/keys"]
)
def test_h23_path_has_one_spelling(server: RunningServer, path: str) -> None:
    """Every other spelling of a path is a 404 without a redirect."""
    reply = refusal(server, request("GET", path))
    assert reply.status == 404
    assert "location" not in reply.fields


@pytest.mark.parametrize(
    "query",
    ["filename=a&filename=b", "filename=%00", "filename=%ff", "filename=a;disposition=inline", "x=1", "&" * 4000],
)
def test_h24_query_has_one_meaning(server: RunningServer, query: str) -> None:
    """A query with repeated, unknown or undecodable parameters is refused."""
    (reply,) = server.replies_to(request("GET", f"{GOOD_PATH}?{query}"))
    assert reply.status in (200, 400, 422)
    if reply.status == 200:
        assert query in ("&" * 4000, "filename=a;disposition=inline")  # no parameter, and a file name


@pytest.mark.parametrize("origin", ["https://evil.test", "null"])
def test_h25_unlisted_origin_is_not_allowed(server: RunningServer, origin: str) -> None:
    """An origin that is not listed gets no CORS header fields."""
    (reply,) = server.replies_to(request("GET", GOOD_PATH, f"Origin: {origin}"))
    assert not [name for name in reply.fields if name.startswith("access-control-")]


def test_h26_response_with_url_is_private(server: RunningServer) -> None:
    """A response with a presigned URL is not cached and not sent as a referrer."""
    (reply,) = server.replies_to(request("POST", CREATE, JSON, LENGTH, body=FILE))
    assert reply.status == 201
    assert reply.fields["cache-control"] == "no-store"
    assert reply.fields["vary"] == "Authorization"
    assert reply.fields["referrer-policy"] == "no-referrer"
    assert reply.fields["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("identity", ["a" * 10_000, "a b", "\xe9", '"', "a\tb", ""])
def test_h29_invalid_request_id_is_replaced(server: RunningServer, identity: str) -> None:
    """An invalid X-Request-Id is replaced by a generated one (H27)."""
    (reply,) = server.replies_to(request("GET", GOOD_PATH, f"X-Request-Id: {identity}"))
    assert re.fullmatch("[0-9a-f]{32}", reply.fields["x-request-id"])
