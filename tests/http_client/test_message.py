"""Encoding of requests and parsing of responses, without a socket."""

import itertools
import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.http_client.http_errors import HttpError, MalformedResponseError, ServerDisconnectedError
from broker.http_client.message import (
    ERROR_BODY_MAX,
    RESPONSE_FIELDS_MAX,
    RESPONSE_HEAD_MAX,
    Request,
    Response,
    ResponseParser,
)

COMMON = ("Host: store.example", "User-Agent: test")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 100


class UnfinishedError(Exception):
    """The response is not complete."""


def read(*pieces: bytes, method: str = "GET", closed: bool = False, limit: int = LIMIT) -> tuple[Response, bool]:
    """Return the response in ``pieces``, and whether its connection may be reused."""
    parser = ResponseParser(method, limit)
    for number, piece in enumerate(pieces):
        if parser.feed(piece):
            is_last = not any(pieces[number + 1 :])
            return parser.response, parser.is_reusable and is_last
    if closed:
        parser.feed_eof()
        return parser.response, parser.is_reusable
    raise UnfinishedError


def test_request_encoding() -> None:
    """A request is encoded as its line, its fields and its body."""
    request = Request("POST", "/a?delete=", {"content-type": "application/xml"}, b"<x/>")
    assert request.encoded(COMMON) == (
        b"POST /a?delete= HTTP/1.1\r\nHost: store.example\r\nUser-Agent: test\r\n"
        b"content-type: application/xml\r\nContent-Length: 4\r\n\r\n<x/>"
    )


@pytest.mark.parametrize(
    ("method", "length"), [("GET", None), ("HEAD", None), ("DELETE", None), ("PUT", b"0"), ("POST", b"0")]
)
def test_content_length_zero(method: str, length: bytes | None) -> None:
    """Only PUT and POST send a Content-Length of 0 without a body."""
    found = re.search(rb"Content-Length: (\d+)", Request(method, "/").encoded(COMMON))
    assert (found and found[1]) == length


@pytest.mark.parametrize(
    "evil", ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\r\n\r\nGET / HTTP/1.1", "a\0", "é", "a\r", "\n"]
)
def test_request_injection(evil: str) -> None:
    """A line break, NUL or non-ASCII character in any part of a request is refused."""
    for request in (
        Request("GET", f"/{evil}"),
        Request("GET", "/", {"x-a": evil}),
        Request("GET", "/", {evil: "a"}),
        Request(evil, "/"),
    ):
        with pytest.raises(ValueError):
            request.encoded(COMMON)


def test_space_in_target() -> None:
    """A space in the target is refused."""
    with pytest.raises(ValueError):
        Request("GET", "/a HTTP/1.1").encoded(COMMON)


def test_response_fields() -> None:
    """Field names are in lower case, values are trimmed and joined, and other bytes are kept."""
    data = OK + b'ETag:  "a" \t\r\nX-A: 1\r\nx-a: 2\r\nX-B: \xe9\r\nX-C:\r\nContent-Length: 0\r\n\r\n'
    response, is_reusable = read(data)
    assert response == (
        200,
        {"etag": '"a"', "x-a": "1, 2", "x-b": "\udce9", "x-c": "", "content-length": "0"},
        b"",
    )
    assert is_reusable


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n"
WHOLE = {
    "length": (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
    "chunks": (CHUNKED + b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\nTrailer: x\r\n\r\n", b"abc", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"", True),
    "after interim ones": (INTERIM + OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", b"a", True),
    "Connection: close": (OK + b"Connection: Close\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
    "more than its length": (OK + b"Content-Length: 3\r\n\r\nabcd", b"abc", False),
    "line ends behind its length": (OK + b"Content-Length: 3\r\n\r\nabc\r\n", b"abc", False),
    "another behind it": (OK + b"Content-Length: 3\r\n\r\nabc" + OK + b"A: b\r\n\r\nx", b"abc", False),
    "another behind chunks": (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", b"abc", False),
    "the beginning of another": (CHUNKED + b"3\r\nabc\r\n0\r\n\r\nH", b"abc", False),
    "junk behind chunks": (CHUNKED + b"3\r\nabc\r\n0\r\n\r\njunk", b"abc", False),
    "a body behind a 204": (b"HTTP/1.1 204 No Content\r\n\r\nabc", b"", False),
    "behind a close": (OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabcd", b"abc", False),
}  # fmt: skip  # one case per line


@pytest.mark.parametrize(("data", "body", "is_reusable"), WHOLE.values(), ids=WHOLE.keys())
def test_complete_responses(data: bytes, body: bytes, is_reusable: bool) -> None:
    """A response is complete by its framing, and more bytes make the connection unusable."""
    response, found = read(data)
    assert (response.body, found) == (body, is_reusable)
    assert "trailer" not in response.fields


@pytest.mark.parametrize("framing", [b"Content-Length: 900\r\n", b"Transfer-Encoding: chunked\r\n", b""])
@pytest.mark.parametrize("behind", [b"", b"x"])
def test_response_to_head(framing: bytes, behind: bytes) -> None:
    """The response to HEAD ends with its header fields."""
    response, is_reusable = read(OK + framing + b"\r\n" + behind, method="HEAD")
    assert (response.body, is_reusable) == (b"", not behind)


def test_body_without_length() -> None:
    """A body without a length ends with the connection."""
    assert read(OK + b"\r\nab", b"c", closed=True) == ((200, {}, b"abc"), False)
    assert read(OK + b"\r\n", closed=True) == ((200, {}, b""), False)
    with pytest.raises(UnfinishedError):
        read(OK + b"\r\nab")


CUT = {
    "nothing": b"",
    "the version": b"HTT",
    "the status": OK[:11],
    "a field": OK + b"Content-Le",
    "the head": OK + b"Content-Length: 3\r\n",
    "an interim one alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "the body": OK + b"Content-Length: 3\r\n\r\nab",
    "all of a body": OK + b"Content-Length: 3\r\n\r\n",
    "a chunk": CHUNKED + b"3\r\nab",
    "the last chunk": CHUNKED + b"3\r\nabc\r\n",
    "the end of the trailers": CHUNKED + b"3\r\nabc\r\n0\r\n",
}


@pytest.mark.parametrize("data", CUT.values(), ids=CUT.keys())
def test_cut_responses(data: bytes) -> None:
    """A response that ends too early is an error."""
    with pytest.raises(ServerDisconnectedError) as failure:
        read(data, closed=True)
    assert str(failure.value) == "the connection ended before the response was complete"


MALFORMED = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another protocol, no line yet": b"S",
    "a newer HTTP": b"HTTP/2.0 200 OK\r\n\r\n",
    "an older HTTP": b"HTTP/0.9 200 OK\r\n\r\n",
    "no version yet": b"HTTP/1.2 200 OK\r\n\r\n",
    "a line before the first": b"\r\n" + OK + b"\r\n",
    "a status of two digits": b"HTTP/1.1 99 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 0": b"HTTP/1.1 000 OK\r\n\r\n",
    "status 99": b"HTTP/1.1 099 OK\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a switch of protocols to none": b"HTTP/1.1 101 Go\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": OK + b"Content-Length: 1, 1\r\n\r\na",
    "a length with a sign": OK + b"Content-Length: +1\r\n\r\na",
    "a length of nothing": OK + b"Content-Length:\r\n\r\na",
    "a length of 30 digits": OK + b"Content-Length: " + b"1" * 30 + b"\r\n\r\na",
    "a length and chunks": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "chunks of another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another coding of chunks": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunks of chunks": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare line feed": OK + b"A: b\n\r\n\r\n",
    "a bare carriage return": OK + b"A: b\rC: d\r\n\r\n",
    "a folded line": OK + b"A: b\r\n c\r\n\r\n",
    "a space before the colon": OK + b"A : b\r\n\r\n",
    "no colon": OK + b"A\r\n\r\n",
    "a NUL": OK + b"A: \0\r\n\r\n",
    "a field of no name": OK + b": a\r\n\r\n",
    "a chunk of no size": CHUNKED + b"x\r\n",
    "a chunk in hex with a prefix": CHUNKED + b"0x3\r\nabc\r\n",
    "a chunk that is longer than it says": CHUNKED + b"3\r\nabcd\r\n",
    "a chunk that is too large to be one": CHUNKED + b"f" * 17 + b"\r\n",
    "too many fields": OK + b"A: b\r\n" * (RESPONSE_FIELDS_MAX + 1) + b"\r\n",
    "a head too large": OK + b"A: " + b"b" * RESPONSE_HEAD_MAX + b"\r\n\r\n",
    "a head too large that goes on": OK + b"A: " + b"b" * RESPONSE_HEAD_MAX,
    "interim ones for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
}


PROTOCOL, STATUS = "the response is not HTTP/1.1", "the status code is less than 100"
SWITCHED = "the response switches protocols, which was not requested"
TOO_LARGE = "the response head exceeds 16384 bytes"
CODING, FRAMING = "the Transfer-Encoding is not chunked", "the chunk framing is invalid"
RULES = {
    "another protocol": PROTOCOL,
    "another protocol, no line yet": PROTOCOL,
    "a newer HTTP": PROTOCOL,
    "an older HTTP": PROTOCOL,
    "a line before the first": PROTOCOL,
    "a switch of protocols": SWITCHED,
    "status 0": STATUS,
    "status 99": STATUS,
    "another coding": CODING,
    "chunks of another coding": CODING,
    "another coding of chunks": CODING,
    "chunks of chunks": CODING,
    "a chunk of no size": FRAMING,
    "a chunk in hex with a prefix": FRAMING,
    "a chunk that is longer than it says": FRAMING,
    "a chunk that is too large to be one": FRAMING,
    "too many fields": "the response has more than 100 fields",
    "a head too large": TOO_LARGE,
    "a head too large that goes on": TOO_LARGE,
    "interim ones for ever": TOO_LARGE,
}
"""The rule that each malformed response breaks, if it is not the rule of a valid head."""


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_responses(name: str) -> None:
    """A malformed response is an error whose text is a fixed rule."""
    with pytest.raises(MalformedResponseError) as failure:
        read(MALFORMED[name], closed=True)
    assert str(failure.value) == RULES.get(name, "the response head is not valid HTTP/1.1")


def test_largest_head() -> None:
    """The maximum number and size of fields are accepted, and one byte more is not."""
    assert read(OK + b"A: b\r\n" * (RESPONSE_FIELDS_MAX - 1) + b"Content-Length: 0\r\n\r\n")[1]
    fill = RESPONSE_HEAD_MAX - len(OK + b"A: \r\nContent-Length: 0\r\n\r\n")
    assert read(OK + b"A: " + b"b" * fill + b"\r\nContent-Length: 0\r\n\r\n")[1]
    with pytest.raises(MalformedResponseError):
        read(OK + b"A: " + b"b" * (fill + 1) + b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("endless", [b"0\r\nA: ", b"3;a="])
def test_endless_chunk_framing(endless: bytes) -> None:
    """An endless trailer or chunk extension is an error."""
    with pytest.raises(MalformedResponseError, match=r"^the chunk framing exceeds 16384 bytes without content$"):
        read(CHUNKED, endless, *[b"a" * 1024] * 17)


def test_many_small_chunks() -> None:
    """The limit for chunk framing starts again after each chunk."""
    pieces = [CHUNKED, *[b"1\r\na\r\n"] * RESPONSE_HEAD_MAX, b"0\r\n\r\n"]
    assert read(*pieces, limit=2 * RESPONSE_HEAD_MAX) == (
        (200, {"transfer-encoding": "chunked"}, b"a" * RESPONSE_HEAD_MAX),
        True,
    )


@pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n", b""])
def test_body_over_the_limit(length: bytes) -> None:
    """A body is cut at the limit without parser the rest, and the connection is not reused."""
    for received in (LIMIT, LIMIT + 1, 900):
        response, is_reusable = read(OK + length + b"\r\n" + b"a" * received)
        assert (response.body, is_reusable) == (b"a" * LIMIT, False)


def test_complete_body_is_cut() -> None:
    """A complete body is cut at the limit, and the connection is reused."""
    for size in (LIMIT, LIMIT + 1):
        response, is_reusable = read(OK + b"Content-Length: %d\r\n\r\n" % size + b"a" * size)
        assert (response.body, is_reusable) == (b"a" * LIMIT, True)


def test_malformed_rest_after_limit() -> None:
    """Malformed bytes after the limit are ignored, and the connection is not reused."""
    response, is_reusable = read(CHUNKED + b"64\r\n" + b"a" * LIMIT + b"junk")
    assert (response.body, is_reusable) == (b"a" * LIMIT, False)


def test_error_body_limit() -> None:
    """Error responses have their own limit for the body."""
    size = ERROR_BODY_MAX + 1
    for status, kept in ((400, ERROR_BODY_MAX), (503, ERROR_BODY_MAX), (399, LIMIT)):
        data = b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, size) + b"a" * size
        assert len(read(data)[0].body) == kept


def outcome(pieces: Sequence[bytes], method: str) -> object:
    """Return the response or the error of ``pieces``, followed by the end of the stream."""
    try:
        return read(*pieces, method=method, closed=True)[0]
    except HttpError as error:
        return type(error), str(error)


HEADS = [OK, b"HTTP/1.0 200 OK\r\n", *(b"HTTP/1.1 %d Said\r\n" % status for status in (100, 204, 404))]
FIELDS = [b"Content-Length: 3\r\n", b"Content-Length: 200\r\n", b"Transfer-Encoding: chunked\r\n", b"A: b\r\n"]
BODIES = [b"abc", b"a" * 150, b"3\r\nabc\r\n", b"96\r\n" + b"a" * 150 + b"\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n"]
PARTS = [*HEADS, *FIELDS, *BODIES, b"\r\n", b"\n", b" ", b"\0"]

STREAMS = st.one_of(
    st.sampled_from([data for data, _, _ in WHOLE.values()]),
    st.sampled_from([data for data in MALFORMED.values() if len(data) < RESPONSE_HEAD_MAX]),
    st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join),
    st.lists(st.sampled_from(PARTS), max_size=8).map(lambda parts: OK + b"".join(parts)),
    st.binary(max_size=60).map(lambda data: OK + data),
    st.binary(max_size=60).map(lambda data: CHUNKED + data),
    st.binary(max_size=20),
)


@given(STREAMS, st.sampled_from(["GET", "HEAD"]), st.lists(st.integers(0, 400), max_size=6))
@example(CHUNKED + b"64\r\n" + b"a" * LIMIT + b"junk", "GET", [LIMIT + len(CHUNKED) + 4])
def test_split_streams(stream: bytes, method: str, cuts: list[int]) -> None:
    """A stream has the same result however it is split."""
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    at_once = outcome([stream], method)
    assert outcome(pieces, method) == at_once
    assert outcome([bytes([byte]) for byte in stream], method) == at_once
