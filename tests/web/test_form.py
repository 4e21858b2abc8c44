"""The form's files are found however the body is cut, encoded and ordered; every other body is refused."""

import asyncio
import contextlib
import encodings
import random
import time
from collections.abc import Sequence
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from broker.core.limits import OBJECT_MAX
from broker.errors import (
    BrokerError,
    InvalidRequestError,
    LengthRequiredError,
    MalformedRequestError,
    RequestTimeoutError,
    TooLargeError,
    UnsupportedBodyError,
)
from broker.web import form as form_module
from broker.web.form import OVERHEAD_MAX, PARTS_MAX, Form

from .forms import BOUNDARY, END, TYPE, field_part, file_part, files_of, form, part, request_of

CONTENT = b"ID3\x04\r\n--\r\n----boundary4\r\n------boundary4" + bytes(range(256))
CHUNKED = [("content-type", TYPE), ("transfer-encoding", "chunked")]


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return the data in pieces, cut at these offsets."""
    marks = sorted(min(mark, len(data)) for mark in cuts)
    return [data[start:end] for start, end in zip([0, *marks], [*marks, len(data)], strict=True)]


@given(
    st.binary(min_size=1, max_size=300) | st.text("\r\n-bounday42", min_size=1, max_size=60).map(str.encode),
    st.lists(st.integers(0, 900), max_size=12),
    st.booleans(),
    st.booleans(),
)
@example(CONTENT, list(range(700)), True, True)
@settings(max_examples=40)
async def test_any_cutting_gives_the_same_file(content: bytes, cuts: list[int], first: bool, chunked: bool) -> None:
    """The file of a form does not depend on how its bytes arrive, nor on the fields around it."""
    if b"\r\n" + f"--{BOUNDARY}".encode() in b"\r\n" + content:
        return
    others = [field_part("title", content), field_part("createTrack", b"true")]
    body = form(*([file_part(content), *others] if first else [*others, file_part(content)]))
    request = request_of(cut(body, cuts), fields=CHUNKED if chunked else None)
    assert await files_of(request) == [("a.mp3", "", content)]


NAMES = [
    ('filename="My song.mp3"', "My song.mp3"),
    ("filename=song.mp3", "song.mp3"),
    ('filename="söng.mp3"', "söng.mp3"),
    ('filename="söng.mp3"'.encode("latin-1"), "söng.mp3"),
    ('filename="曲.mp3"', "曲.mp3"),
    ('filename="a\\"b.mp3"', 'a"b.mp3'),
    ('filename="a%22b.mp3"', 'a"b.mp3'),
    ('filename="100%.mp3"', "100%.mp3"),
    ('filename="a;b=c.mp3"', "a;b=c.mp3"),
    ("filename*=UTF-8''s%C3%B6ng.mp3", "söng.mp3"),
    ("filename*=utf-8'de's%C3%B6ng%20%281%29.mp3", "söng (1).mp3"),
    ("filename*=ISO-8859-1''s%F6ng.mp3", "söng.mp3"),
    ("filename=\"plain.mp3\"; filename*=UTF-8''s%C3%B6ng.mp3", "söng.mp3"),
    ("filename*=UTF-8''s%C3%B6ng.mp3; filename=\"plain.mp3\"", "söng.mp3"),
    ("filename=\"plain.mp3\"; filename*=UTF-8''%FF", "plain.mp3"),
    ("filename=\"plain.mp3\"; filename*=nothing''%41", "plain.mp3"),
    ("filename=\"a; filename*=UTF-8''b.mp3\"", "a; filename*=UTF-8''b.mp3"),
    ('filename="C:\\music\\song.mp3"', "song.mp3"),
    ('FILENAME="a.mp3"', "a.mp3"),
]


@pytest.mark.parametrize(("given_name", "expected"), NAMES)
@pytest.mark.parametrize("first", [True, False])
async def test_names_in_every_encoding(given_name: str | bytes, expected: str, first: bool) -> None:
    """A file name is read in each form in which clients send it."""
    name = given_name if isinstance(given_name, bytes) else given_name.encode()
    disposition = b'name="file"; ' + name if first else name + b'; name="file"'
    assert await files_of(request_of([form(file_part(b"x", disposition))])) == [(expected, "", b"x")]


async def test_an_open_quote_takes_linear_time() -> None:
    """A quoted text that never ends is read once, and not once for each of its quotes."""
    disposition = b'name=file; x="' + rb"\"" * 25_000
    began = time.process_time()
    with contextlib.suppress(BrokerError):
        await files_of(request_of([form(file_part(b"x", disposition))]))
    assert time.process_time() - began < 0.2  # seconds; a time that grows with the square is several times as long


async def test_unknown_encodings_are_not_kept() -> None:
    """The name of an encoding that no standard permits is not looked up, because Python would keep it."""
    before = len(encodings._cache)
    name = b'name="file"; filename="a.mp3"; filename*=no-such-encoding\'\'%41'
    assert await files_of(request_of([form(file_part(b"x", name))])) == [("a.mp3", "", b"x")]
    assert len(encodings._cache) == before


@given(st.text(min_size=1, max_size=30))
@settings(max_examples=40)
async def test_any_extended_name_is_read(name: str) -> None:
    """A name of any characters is read from its RFC 8187 form."""
    if any("\ud800" <= character <= "\udfff" for character in name):
        return
    body = form(file_part(b"x", f'name="file"; filename="plain"; filename*=UTF-8\'\'{quote(name, safe="")}'))
    assert await files_of(request_of([body])) == [(name, "", b"x")]


@pytest.mark.parametrize(
    ("boundary", "parameters"),
    [
        ("===1700000000===", "boundary====1700000000==="),
        ("===============8312==", "charset=utf-8; boundary================8312==; x=y"),
        ("a:b/c?d", "BOUNDARY=a:b/c?d"),
        ("'()+_,-./:=?", "boundary='()+_,-./:=?"),
        ("a;b c", 'boundary="a;b c"'),
        ("a", 'x="; boundary=b"; boundary=a'),
        ("a", 'boundary="a"; y="; boundary=b"'),
        ("*****", "boundary=*****"),
    ],
)
async def test_boundaries_need_no_quotes(boundary: str, parameters: str) -> None:
    """A boundary with characters that need quotes is read without them too, as many clients send it."""
    body = form(file_part(CONTENT)).replace(BOUNDARY.encode(), boundary.encode())
    for separator in (";", "; "):
        kind = f"multipart/form-data{separator}{parameters}"
        request = request_of([body], fields=[("content-type", kind), ("content-length", str(len(body)))])
        assert await files_of(request) == [("a.mp3", "", CONTENT)]


@pytest.mark.parametrize("encoding", ["binary", "8BIT", " 7bit ", ""])
async def test_a_plain_encoding_is_taken(encoding: str) -> None:
    """A file whose head says that its bytes are sent as they are is taken."""
    assert await files_of(request_of([form(part(b"x", HEAD, f"Content-Transfer-Encoding: {encoding}"))]))


@pytest.mark.parametrize("encoding", ["base64", "Quoted-Printable", "x-uuencode"])
async def test_an_encoded_file_is_refused(encoding: str) -> None:
    """A file in another encoding would be stored encoded: it is refused; a field may have one."""
    head = f"Content-Transfer-Encoding: {encoding}"
    field = part(b"x", 'Content-Disposition: form-data; name="title"', head)
    assert await files_of(request_of([form(field, file_part(b"x"))]))
    with pytest.raises(UnsupportedBodyError):
        await files_of(request_of([form(part(b"x", HEAD, head))]))


@pytest.mark.parametrize("kind", ["", "audio/mpeg", "application/octet-stream", 'audio/mpeg; charset="ü"'])
async def test_the_type_of_a_part_is_passed_on(kind: str) -> None:
    """The Content-Type of a part is passed on as it was sent, and may be missing."""
    assert await files_of(request_of([form(file_part(b"x", kind=kind))])) == [("a.mp3", kind, b"x")]


@pytest.mark.parametrize(
    "body",
    [
        form(),
        form(field_part("file", b"a text, not a file")),
        form(file_part(b"", 'name="file"; filename=""')),
        form(file_part(b"x", 'name="other"; filename="a.mp3"')),
        form(file_part(b"x", 'filename="a.mp3"')),
        form(file_part(b"x", 'name="files"; filename="a.mp3"')),
    ],
)
async def test_a_form_may_have_no_file(body: bytes) -> None:
    """A form without a file in the field has none."""
    assert await files_of(request_of([body])) == []


@pytest.mark.parametrize("fields", [[], [("content-length", "0")], [("content-length", "0"), ("content-type", "a/b")]])
async def test_a_request_without_a_body_has_no_file(fields: list[tuple[str, str]]) -> None:
    """A request without a body has no file, whatever its type."""
    assert await files_of(request_of([], fields=fields)) == []


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"content-type": "application/json"}, UnsupportedBodyError),
        ({"content-type": "multipart/mixed; boundary=a"}, UnsupportedBodyError),
        ({"content-type": "multipart/form-data"}, UnsupportedBodyError),
        ({"content-type": "multipart/form-data; boundary="}, UnsupportedBodyError),
        ({"content-type": f"multipart/form-data; boundary={'x' * 201}"}, UnsupportedBodyError),
        ({"content-type": 'multipart/form-data; boundary="ü"'}, UnsupportedBodyError),
        ({"content-type": "multipart/form-data; boundary=ü"}, UnsupportedBodyError),
        ({"content-type": f"multipart/form-data; boundary={'=' * 201}"}, UnsupportedBodyError),
        ({"content-type": "multipart/form-data, boundary=a"}, UnsupportedBodyError),
        ({"content-encoding": "gzip"}, UnsupportedBodyError),
        ({"content-length": "+9"}, MalformedRequestError),
        ({"content-length": str(100 + OVERHEAD_MAX + 1)}, TooLargeError),
        ({"content-length": "9" * 19}, TooLargeError),
        ({"transfer-encoding": "chunked"}, LengthRequiredError),
    ],
)
def test_header_fields_are_checked_before_the_body(fields: dict[str, str], kind: type[BrokerError]) -> None:
    """A request whose header fields exclude a form of this size is refused before anything is read."""
    good = {"content-type": TYPE, "content-length": "9"}
    request = request_of([b"x" * 9], fields=list({**good, **fields}.items()))
    with pytest.raises(kind):
        Form(request, "file", files_max=1, file_max=100)


HEAD = 'Content-Disposition: form-data; name="file"; filename="a.mp3"'
WHOLE = form(file_part(CONTENT), field_part("title"))
BROKEN = {
    "empty": b"\r\n",
    "no boundary": b"x" * 1000,
    "another boundary": WHOLE.replace(b"boundary42", b"boundary43"),
    "no end": WHOLE[:-6],
    "end of the file": WHOLE[:200],
    "end of a head": WHOLE[:40],
    "line feeds alone": WHOLE.replace(b"\r\n", b"\n"),
    "bytes behind the boundary": WHOLE.replace(b"boundary42\r\n", b"boundary42xx\r\n"),
    "a head without a colon": form(part(b"x", HEAD, "nothing")),
    "a name of a field with blanks": form(part(b"x", HEAD, "Content Type: a")),
    "no disposition": form(part(b"x", "Content-Type: audio/mpeg")),
    "an attachment": form(part(b"x", 'Content-Disposition: attachment; name="file"; filename="a.mp3"')),
    "a wrong length of a part": form(part(b"x", HEAD, "Content-Length: 5")),
    "two lengths of a part": form(part(b"x", HEAD, "Content-Length: 1", "Content-Length: 1")),
}
TOO_MUCH = {
    "10,000 parts": form(*[field_part("title", b"")] * 10_000),
    "one part too many": form(*[field_part("t", b"")] * (PARTS_MAX + 1)),
    "nine header fields": form(part(b"x", HEAD, *[f"X-{number}: y" for number in range(8)])),
    "a long header field": form(part(b"x", HEAD, f"X-Long: {'y' * 5000}")),
    "a head without end": f"--{BOUNDARY}\r\n".encode() + b"x" * 6000,
    "a long field": form(field_part("title", b"x" * OVERHEAD_MAX), file_part(CONTENT)),
    "a long field behind": form(file_part(CONTENT), field_part("title", b"x" * OVERHEAD_MAX)),
    "a long preamble": b"x" * OVERHEAD_MAX + b"\r\n" + WHOLE,
    "a long epilogue": WHOLE + b"x" * OVERHEAD_MAX,
    "a large file in another field": form(file_part(b"x" * 70_000, 'name="cover"; filename="a.png"')),
    "a short file in a long form": form(file_part(b"x" * 200_000), field_part("title", b"x" * OVERHEAD_MAX)),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("fields", [None, CHUNKED])
async def test_a_broken_form_is_refused(body: bytes, fields: list[tuple[str, str]] | None) -> None:
    """A form that is not complete and well formed is refused, in whatever pieces it arrives."""
    for size in (1, 7, 10**6):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        with pytest.raises(MalformedRequestError):
            await files_of(request_of(pieces, fields=fields))


@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH)
@pytest.mark.parametrize("fields", [None, CHUNKED])
async def test_an_excessive_form_is_refused(body: bytes, fields: list[tuple[str, str]] | None) -> None:
    """Everything in a form but its file is bounded."""
    for size in (4096, 10**7):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        with pytest.raises(TooLargeError):
            await files_of(request_of(pieces, fields=fields))


async def test_an_endless_form_is_refused_while_it_arrives() -> None:
    """A form without end is refused soon after its limit, and is not read on."""
    read = 0

    async def endless() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 8192, "more_body": True}

    with pytest.raises(TooLargeError):
        await files_of(request_of([], fields=CHUNKED, receive=endless))
    assert read == OVERHEAD_MAX // 8192 + 1


@pytest.mark.parametrize(("files_max", "field"), [(1, "file"), (10, "files")])
async def test_too_many_files_are_refused(files_max: int, field: str) -> None:
    """A second file, or an eleventh of a batch, is refused."""
    one = file_part(b"x", f'name="{field}"; filename="a.mp3"')
    allowed = await files_of(request_of([form(*[one] * files_max)]), field=field, files_max=files_max)
    assert len(allowed) == files_max
    with pytest.raises(InvalidRequestError) as refused:
        await files_of(request_of([form(*[one] * (files_max + 1))]), field=field, files_max=files_max)
    assert [fault.pointer for fault in refused.value.faults] == [f"/{field}"]


async def test_a_nested_form_is_one_file() -> None:
    """A form within a form is the content of its part."""
    inner = form(file_part(b"x")).replace(BOUNDARY.encode(), b"inner")
    found = await files_of(request_of([form(file_part(inner, kind="multipart/mixed; boundary=inner"))]))
    assert found == [("a.mp3", "multipart/mixed; boundary=inner", inner)]


async def test_the_length_of_a_form_bounds_its_file() -> None:
    """The least size of a file follows from the length of a form for one file, and is unknown in all others."""
    body = form(file_part(b"x" * 100_000))
    sizes = []
    for fields, files_max in ((None, 1), (None, 10), (CHUNKED, 1)):
        async for file in Form(request_of([body], fields=fields), "file", files_max=files_max, file_max=10**6).files():
            sizes.append((file.size_min, file.size_max))
            assert sum([len(piece) async for piece in file.pieces]) == 100_000
    length = len(body)
    assert sizes == [(length - OVERHEAD_MAX, length), (0, length), (0, OBJECT_MAX)]


async def test_a_client_that_goes_away_is_an_error() -> None:
    """A connection that ends before the body does is an error."""
    pieces: list[Message] = [
        {"type": "http.request", "body": WHOLE[:150], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return pieces.pop(0)

    with pytest.raises(MalformedRequestError):
        await files_of(request_of([], fields=CHUNKED, receive=receive))


@pytest.mark.parametrize(("constant", "value"), [("FORM_DEADLINE", 0.3), ("RATE_GRACE", 0.05)])
async def test_a_slow_form_is_refused(constant: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that arrives after its deadline, or more slowly than its rate, is refused."""
    monkeypatch.setattr(form_module, constant, value)
    if constant == "RATE_GRACE":
        monkeypatch.setattr(form_module, "RATE_MIN", 1000)
    left = list(WHOLE)

    async def drip() -> Message:
        await asyncio.sleep(0.02)  # slower than the deadline and the rate of this test
        return {"type": "http.request", "body": bytes([left.pop(0)]), "more_body": True}

    with pytest.raises(RequestTimeoutError):
        await files_of(request_of([], fields=CHUNKED, receive=drip))
    assert left


async def test_only_the_client_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is slow does not count against the rate of the client."""
    monkeypatch.setattr(form_module, "RATE_GRACE", 0.05)
    request = request_of([WHOLE[:150], WHOLE[150:250], WHOLE[250:]])
    async for file in Form(request, "file", files_max=1, file_max=10**6).files():
        async for _ in file.pieces:
            await asyncio.sleep(0.1)  # longer than RATE_GRACE


async def test_random_damage_gives_a_file_or_an_error() -> None:
    """A form with random damage is read or refused, and never raises another error."""
    chance = random.Random(20261127)
    outcomes = set()
    for _ in range(400):
        body = bytearray(WHOLE)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            match chance.randrange(4):
                case 0:
                    body[at] = chance.randrange(256)
                case 1:
                    del body[at : at + chance.randrange(20)]
                case 2:
                    body[at:at] = chance.choice((b"\r\n", END, b"--", f"--{BOUNDARY}\r\n".encode(), b"\0" * 9))
                case _:
                    body[at:at] = body[chance.randrange(len(body)) :][: chance.randrange(200)]
        pieces = cut(bytes(body), [chance.randrange(600) for _ in range(4)])
        try:
            await files_of(request_of(pieces, fields=chance.choice((None, CHUNKED))))
            outcomes.add("read")
        except BrokerError as error:
            outcomes.add(type(error).__name__)
    assert {"read", "MalformedRequestError"} <= outcomes
