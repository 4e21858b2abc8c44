"""Chunked bodies over a socket: any body in any chunks and packets arrives as it was sent, or is refused."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from broker.errors import MalformedRequestError
from broker.server.chunked_body import CHUNK_LINE_MAX, FRAMING_MAX, ChunkedBody
from tests.web.running_server import RunningServer, request

CHUNKED = "Transfer-Encoding: chunked"
UPGRADE = ("Connection: upgrade", "Upgrade: h2c")

sizes = st.integers(1, 40)
bodies = st.binary(max_size=200) | st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"0", b"0\r\n\r\n", b"a"])).map(
    b"".join
)
extensions = st.sampled_from([b"", b"", b";a", b';a="b;c"', b" ;a"[1:]])
trailers = st.sampled_from([b"", b"", b"A: b\r\n", b"A:\r\nContent-Type: x\r\n"])


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with the names of the header fields, and the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    names = b",".join(sorted(name for name, _ in scope["headers"]))
    content = names + b"|" + body
    fields = [(b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """Serve the echo."""
    with RunningServer(echo, lifespan="off") as server:
        yield server


@given(data=st.data(), body=bodies, trailer=trailers, is_offered=st.booleans(), count=st.integers(1, 3))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_body_arrives_as_it_was_sent(
    server: RunningServer, data: st.DataObject, body: bytes, trailer: bytes, is_offered: bool, count: int
) -> None:
    """The application receives the body, and no trailer, however it is cut; so it does for pipelined requests."""
    chunks, at = b"", 0
    while at < len(body):
        size = data.draw(sizes)
        piece = body[at : at + size]
        chunks += b"%x%b\r\n%b\r\n" % (len(piece), data.draw(extensions), piece)
        at += size
    chunks += b"0\r\n" + trailer + b"\r\n"
    fields = UPGRADE if is_offered else ()
    sent = request("POST", "/", CHUNKED, *fields, keep=True, body=chunks) * count
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    names = {"authorization", "host", "transfer-encoding", *(["connection"] if is_offered else [])}
    expected = ",".join(sorted(names)).encode() + b"|" + body
    with server.connect() as connection:
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            connection.send(sent[start:end])
        for _ in range(count):
            assert connection.reply().body == expected


def test_line_before_a_chunk_has_a_limit() -> None:
    """The line before each chunk may have all bytes of the limit, and not one more."""
    line = b"a" + b";" * (CHUNK_LINE_MAX - 3) + b"\r\n"
    for pieces in ((line,), (line[:-2], line[-2:])):
        chunks = ChunkedBody()
        for _ in range(3):
            for piece in pieces:
                chunks.count(piece)
            chunks.start_chunk()
            chunks.count(b"a" * 10)
            chunks.discount(10)
            chunks.end_chunk()
        chunks.count(line)
        with pytest.raises(MalformedRequestError, match=str(CHUNK_LINE_MAX)):
            chunks.count(b" ")


def test_framing_of_a_body_has_a_limit() -> None:
    """The framing may have all bytes of the limit, and not one more; content does not count."""
    chunks = ChunkedBody()
    chunks.count(b"10000\r\n")
    chunks.start_chunk()
    chunks.count(b"a" * 0x10000)
    chunks.discount(0x10000)
    chunks.count(b"\r\n" * ((FRAMING_MAX - 7) // 2))
    chunks.discount(0)
    chunks.count(b"\r\n")
    with pytest.raises(MalformedRequestError, match=str(FRAMING_MAX)):
        chunks.discount(0)


def test_piece_ends_with_its_content_or_line() -> None:
    """The content of a chunk is one piece, also if it has line ends, and a line is one piece."""
    data = b"3;x\r\n\n\n\n\r\n0\r\n"
    chunks = ChunkedBody()
    assert chunks.piece_end(data, 0) == 5
    chunks.count(data[:5])
    chunks.start_chunk()
    assert chunks.piece_end(data, 5) == 8
    chunks.count(data[5:6])
    assert chunks.piece_end(data, 6) == 8
    chunks.count(data[6:8])
    assert chunks.piece_end(data, 8) == 10
    chunks.end_chunk()
    assert chunks.piece_end(data, 10) == len(data)
    assert chunks.piece_end(data[:-1], 10) == len(data) - 1
