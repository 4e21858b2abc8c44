"""What is sent, and what is made of what comes, without a socket."""

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
    """More is to come."""


def read(*pieces: bytes, method: str = "GET", closed: bool = False, limit: int = LIMIT) -> tuple[Response, bool]:
    """The response in what came, and whether its connection may be used again."""
    reading = ResponseParser(method, limit)
    for number, piece in enumerate(pieces):
        if reading.feed(piece):
            nothing_follows = not any(pieces[number + 1 :])
            return reading.response, reading.is_reusable and nothing_follows
    if closed:
        reading.feed_eof()
        return reading.response, reading.is_reusable
    raise UnfinishedError


def test_a_request_is_its_line_its_fields_and_its_body() -> None:
    request = Request("POST", "/a?delete=", {"content-type": "application/xml"}, b"<x/>")
    assert request.encoded(COMMON) == (
        b"POST /a?delete= HTTP/1.1\r\nHost: store.example\r\nUser-Agent: test\r\n"
        b"content-type: application/xml\r\nContent-Length: 4\r\n\r\n<x/>"
    )


@pytest.mark.parametrize(
    ("method", "length"), [("GET", None), ("HEAD", None), ("DELETE", None), ("PUT", b"0"), ("POST", b"0")]
)
def test_only_methods_that_have_a_content_say_that_there_is_none(method: str, length: bytes | None) -> None:
    found = re.search(rb"Content-Length: (\d+)", Request(method, "/").encoded(COMMON))
    assert (found and found[1]) == length


@pytest.mark.parametrize(
    "evil", ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\r\n\r\nGET / HTTP/1.1", "a\0", "é", "a\r", "\n"]
)
def test_nothing_in_a_request_ends_a_line(evil: str) -> None:
    for request in (
        Request("GET", f"/{evil}"),
        Request("GET", "/", {"x-a": evil}),
        Request("GET", "/", {evil: "a"}),
        Request(evil, "/"),
    ):
        with pytest.raises(ValueError):
            request.encoded(COMMON)


def test_a_target_has_no_space() -> None:
    with pytest.raises(ValueError):
        Request("GET", "/a HTTP/1.1").encoded(COMMON)


def test_fields_are_lower_case_trimmed_and_joined_and_bytes_survive() -> None:
    said = OK + b'ETag:  "a" \t\r\nX-A: 1\r\nx-a: 2\r\nX-B: \xe9\r\nX-C:\r\nContent-Length: 0\r\n\r\n'
    response, is_reusable = read(said)
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
}  # fmt: skip  # a case a line


@pytest.mark.parametrize(("said", "body", "is_reusable"), WHOLE.values(), ids=WHOLE.keys())
def test_a_response_is_whole_when_its_framing_says_so(said: bytes, body: bytes, is_reusable: bool) -> None:
    response, found = read(said)
    assert (response.body, found) == (body, is_reusable)
    assert "trailer" not in response.fields


@pytest.mark.parametrize("framing", [b"Content-Length: 900\r\n", b"Transfer-Encoding: chunked\r\n", b""])
@pytest.mark.parametrize("behind", [b"", b"x"])
def test_the_response_to_a_head_ends_with_its_head(framing: bytes, behind: bytes) -> None:
    response, is_reusable = read(OK + framing + b"\r\n" + behind, method="HEAD")
    assert (response.body, is_reusable) == (b"", not behind)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
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


@pytest.mark.parametrize("said", CUT.values(), ids=CUT.keys())
def test_a_response_that_ends_too_early_is_none(said: bytes) -> None:
    """The failure's text is the rule that was broken."""
    with pytest.raises(ServerDisconnectedError) as failure:
        read(said, closed=True)
    assert str(failure.value) == "the connection ended before the response was complete"


SENSELESS = {
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
"""The rule that a senseless response broke, where it is not that of a valid head."""


@pytest.mark.parametrize("name", SENSELESS)
def test_what_makes_no_sense_is_not_a_response_and_the_rule_is_named(name: str) -> None:
    """The text is fixed, so nothing that came is in it."""
    with pytest.raises(MalformedResponseError) as failure:
        read(SENSELESS[name], closed=True)
    assert str(failure.value) == RULES.get(name, "the response head is not valid HTTP/1.1")


def test_as_many_fields_and_bytes_of_them_as_there_may_be_are_read() -> None:
    assert read(OK + b"A: b\r\n" * (RESPONSE_FIELDS_MAX - 1) + b"Content-Length: 0\r\n\r\n")[1]
    fill = RESPONSE_HEAD_MAX - len(OK + b"A: \r\nContent-Length: 0\r\n\r\n")
    assert read(OK + b"A: " + b"b" * fill + b"\r\nContent-Length: 0\r\n\r\n")[1]
    with pytest.raises(MalformedResponseError):
        read(OK + b"A: " + b"b" * (fill + 1) + b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("endless", [b"0\r\nA: ", b"3;a="])
def test_a_trailer_or_an_extension_of_a_chunk_does_not_go_on_for_ever(endless: bytes) -> None:
    with pytest.raises(MalformedResponseError, match=r"^the chunk framing exceeds 16384 bytes without content$"):
        read(CHUNKED, endless, *[b"a" * 1024] * 17)


def test_many_small_chunks_are_no_framing_too_large() -> None:
    pieces = [CHUNKED, *[b"1\r\na\r\n"] * RESPONSE_HEAD_MAX, b"0\r\n\r\n"]
    assert read(*pieces, limit=2 * RESPONSE_HEAD_MAX) == (
        (200, {"transfer-encoding": "chunked"}, b"a" * RESPONSE_HEAD_MAX),
        True,
    )


@pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n", b""])
def test_a_body_over_the_limit_is_cut_and_what_is_left_of_it_not_waited_for(length: bytes) -> None:
    for came in (LIMIT, LIMIT + 1, 900):
        response, is_reusable = read(OK + length + b"\r\n" + b"a" * came)
        assert (response.body, is_reusable) == (b"a" * LIMIT, False)


def test_a_body_that_came_whole_is_cut_and_leaves_the_connection_as_it_is() -> None:
    for size in (LIMIT, LIMIT + 1):
        response, is_reusable = read(OK + b"Content-Length: %d\r\n\r\n" % size + b"a" * size)
        assert (response.body, is_reusable) == (b"a" * LIMIT, True)


def test_a_body_that_makes_no_sense_after_the_limit_is_cut() -> None:
    response, is_reusable = read(CHUNKED + b"64\r\n" + b"a" * LIMIT + b"junk")
    assert (response.body, is_reusable) == (b"a" * LIMIT, False)


def test_of_an_error_more_is_read() -> None:
    size = ERROR_BODY_MAX + 1
    for status, kept in ((400, ERROR_BODY_MAX), (503, ERROR_BODY_MAX), (399, LIMIT)):
        said = b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, size) + b"a" * size
        assert len(read(said)[0].body) == kept


def outcome(pieces: Sequence[bytes], method: str) -> object:
    """What is read of them before the connection is closed in order."""
    try:
        return read(*pieces, method=method, closed=True)[0]
    except HttpError as error:
        return type(error), str(error)


HEADS = [OK, b"HTTP/1.0 200 OK\r\n", *(b"HTTP/1.1 %d Said\r\n" % status for status in (100, 204, 404))]
FIELDS = [b"Content-Length: 3\r\n", b"Content-Length: 200\r\n", b"Transfer-Encoding: chunked\r\n", b"A: b\r\n"]
BODIES = [b"abc", b"a" * 150, b"3\r\nabc\r\n", b"96\r\n" + b"a" * 150 + b"\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n"]
PARTS = [*HEADS, *FIELDS, *BODIES, b"\r\n", b"\n", b" ", b"\0"]

STREAMS = st.one_of(
    st.sampled_from([said for said, _, _ in WHOLE.values()]),
    st.sampled_from([said for said in SENSELESS.values() if len(said) < RESPONSE_HEAD_MAX]),
    st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join),
    st.lists(st.sampled_from(PARTS), max_size=8).map(lambda parts: OK + b"".join(parts)),
    st.binary(max_size=60).map(lambda data: OK + data),
    st.binary(max_size=60).map(lambda data: CHUNKED + data),
    st.binary(max_size=20),
)


@given(STREAMS, st.sampled_from(["GET", "HEAD"]), st.lists(st.integers(0, 400), max_size=6))
@example(CHUNKED + b"64\r\n" + b"a" * LIMIT + b"junk", "GET", [LIMIT + len(CHUNKED) + 4])
def test_however_a_stream_is_split_it_reads_the_same(stream: bytes, method: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    at_once = outcome([stream], method)
    assert outcome(pieces, method) == at_once
    assert outcome([bytes([byte]) for byte in stream], method) == at_once
