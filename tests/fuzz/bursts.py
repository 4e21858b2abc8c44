"""Strategies: bytes that are nearly a request, with all fields that decide where a request ends."""

from hypothesis import strategies as st

from .hostile import altered

LINES = [
    *(
        "GET /healthz HTTP/1.1",
        "GET  /healthz HTTP/1.1",
        "GET /healthz",
        "GET /healthz HTTP/0.9",
        "GET /healthz HTTP/1.0",
    ),
    *(
        "GET /healthz HTTP/1.2",
        "GET /healthz HTTP/2.0",
        "PRI * HTTP/2.0",
        "OPTIONS * HTTP/1.1",
        "CONNECT evil:443 HTTP/1.1",
    ),
    *(
        "GET http://evil.example/healthz HTTP/1.1",
        "GET //evil.example/ HTTP/1.1",
        "get /healthz HTTP/1.1",
        "FOO / HTTP/1.1",
    ),
    *("POST /api/v1/uploads HTTP/1.1", "POST /api/v1/uploads/x/confirm HTTP/1.1", "DELETE /api/v1/objects/x HTTP/1.1"),
    *(
        "GET /%00\xff\xfe HTTP/1.1",
        "GET /api/v1/keys?url=\xff HTTP/1.1",
        "\x16\x03\x01\x02\x00\x01",
        "GET /\x00 HTTP/1.1",
        "",
    ),
    f"GET /{'x' * 9000} HTTP/1.1",
    f"GET /api/v1/keys?{'&' * 60_000} HTTP/1.1",
]
FIELDS = [
    *("Content-Length: 2", "Content-Length: 5, 5", "Content-Length: +2", "Content-Length: -1", "Content-Length: 0x2"),
    *(
        "Content-Length: 99999999999999999999",
        "Content-Length:",
        "Content-Length : 2",
        "Content-Length: 2\r\nContent-Length: 3",
    ),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\tchunked",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Origin: https://app.example",
    ),
    *("Transfer-Encoding : chunked", "Transfer-Encoding:\x0bchunked", "TE: trailers", "Trailer: Authorization"),
    *(
        " folded",
        "no colon",
        ": no name",
        "X\x00: y",
        "X: \x00",
        "X: a\rb",
        "X\xff: \xff",
        "Content-Type: application/json",
    ),
    *(
        "Host: a\r\nHost: b",
        "Host:",
        "Expect: 100-continue",
        "Upgrade: h2c\r\nConnection: upgrade",
        "Upgrade: websocket",
    ),
    *("Authorization: Bearer x", "Authorization: Bearer\r\n x", "Authorization: Bearer a\r\nAuthorization: Bearer b"),
    f"X: {'y' * 70_000}",
]
BODIES = [
    *(
        "",
        "{}",
        '{"a":1}',
        "5\r\nhello\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        "0\r\n\r\n",
        "-1\r\n",
    ),
    *(
        "ffffffffffffffff\r\n",
        "2;" + "x" * 254 + "\r\n{}\r\n0\r\n\r\n",
        "1\r\n{\r\n1\r\n}\r\n0\r\n" + "t: v\r\n" * 101 + "\r\n",
        "1\r\n \r\n" * 14_000,
        "2;x=y\r\n{}\r\n0\r\n\r\n",
        "0\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
    ),
]
PIECES = ["\r\n", "\n", "\r", "\x00", " ", "\t", ":", "\r\n\r\n", "HTTP/1.1", "\xff", "%", "/", ",", "chunked", "0"]


def bursts() -> st.SearchStrategy[bytes]:
    """Draw a request with ``Connection: close``, whole or with a piece replaced."""
    whole = st.builds(
        lambda line, fields, body: "\r\n".join([line, "Host: b", "Connection: close", *fields, "", body]),
        st.sampled_from(LINES),
        st.lists(st.sampled_from(FIELDS), max_size=4),
        st.sampled_from(BODIES),
    )
    return (whole | altered(whole, st.sampled_from(PIECES))).map(lambda text: text.encode("latin-1"))
