"""The rules for uploads, and the faults of refused declarations."""

import base64
from dataclasses import replace as replace_policy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broker.core.limits import MIB, OBJECT_MAX, PUT_MAX
from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec
from broker.core.parts import PREFERRED_PART_SIZE
from broker.core.upload_rules import Accepted, Declaration, UploadPolicy, accept, digest
from broker.errors import BrokerError, InvalidRequestError, TooLargeError, UnsupportedTypeError

POLICY = UploadPolicy(max_bytes=1000)
GOOD = Declaration("a.mp3", "audio/mp3", 10)


def test_canonical_form() -> None:
    """A valid declaration is returned in canonical form."""
    declared = Declaration("x/Song.mp3", " Audio/MP3 ", 10, "ab" * 32, base64.b64encode(b"m" * 16).decode())
    file = FileSpec("Song.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 10, bytes.fromhex("ab" * 32), b"m" * 16)
    assert accept([declared], POLICY, batch=False) == [Accepted(file, None)]


ACCEPTED = "audio/{mpeg,wav,ogg,flac,mp4,aac,aiff,webm}, video/{mp4,webm,quicktime}, image/{jpeg,png,gif,webp,avif}"
LARGE = UploadPolicy(max_bytes=OBJECT_MAX, multipart_threshold=64 * MIB)


@pytest.mark.parametrize(
    ("size", "multipart", "sha256", "part_size"),
    [
        (64 * MIB, None, None, None),
        (64 * MIB + 1, None, None, PREFERRED_PART_SIZE),
        (64 * MIB + 1, False, None, None),
        (64 * MIB + 1, None, "00" * 32, None),
        (1, True, None, PREFERRED_PART_SIZE),
        (PUT_MAX, False, None, None),
        (PUT_MAX, None, "00" * 32, None),
        (PUT_MAX + 1, None, None, PREFERRED_PART_SIZE),
        (OBJECT_MAX, None, None, 524 * MIB),
    ],
)
def test_part_sizes(size: int, multipart: bool | None, sha256: str | None, part_size: int | None) -> None:
    """A large file is uploaded in parts, a file with a checksum in one PUT."""
    (accepted,) = accept([replace(GOOD, size=size, multipart=multipart, sha256=sha256)], LARGE, batch=False)
    assert (accepted.parts and accepted.parts.part_size) == part_size


@pytest.mark.parametrize(
    ("declared", "pointers"),
    [
        (replace(GOOD, multipart=True, sha256="00" * 32), ["/sha256"]),
        (replace(GOOD, multipart=True, md5="00" * 16), ["/md5"]),
        (replace(GOOD, size=PUT_MAX + 1, sha256="00" * 32, md5="00" * 16), ["/sha256", "/md5"]),
        (replace(GOOD, size=PUT_MAX + 1, multipart=False), ["/multipart"]),
    ],
)
def test_impossible_uploads(declared: Declaration, pointers: list[str]) -> None:
    """Checksums of an upload in parts and a too large single PUT are refused."""
    with pytest.raises(InvalidRequestError) as refused:
        accept([declared], LARGE, batch=False)
    assert [fault.pointer for fault in refused.value.faults] == pointers


@pytest.mark.parametrize(
    ("declared", "error", "pointer"),
    [
        (Declaration("", "audio/mpeg", 1), InvalidRequestError, "/filename"),
        (Declaration("a", "text/html", 1), UnsupportedTypeError, "/contentType"),
        (Declaration("a", "audio/mpeg", 0), InvalidRequestError, "/size"),
        (Declaration("a", "audio/mpeg", -1), InvalidRequestError, "/size"),
        (Declaration("a", "audio/mpeg", 1001), TooLargeError, "/size"),
        (Declaration("a", "audio/mpeg", 2**63), TooLargeError, "/size"),
        (Declaration("a", "audio/mpeg", 1, sha256="00"), InvalidRequestError, "/sha256"),
        (Declaration("a", "audio/mpeg", 1, md5="é" * 16), InvalidRequestError, "/md5"),
    ],
)
def test_faulty_fields(declared: Declaration, error: type[BrokerError], pointer: str) -> None:
    """A declaration with one invalid field is refused with the error and the pointer of the field."""
    with pytest.raises(error) as refused:
        accept([declared], POLICY, batch=False)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert refused.value.detail.startswith(pointer[1:])


def test_rule_texts() -> None:
    """Each fault of a batch has the pointer of its file and the text of its rule."""
    bad = Declaration("a\n", "text/html", 0, "x")
    with pytest.raises(InvalidRequestError) as refused:
        accept([bad, replace(GOOD, size=1001), replace(GOOD, filename="..")], POLICY, batch=True)
    assert [(fault.pointer, fault.detail) for fault in refused.value.faults] == [
        ("/files/0/filename", "must not contain control characters"),
        ("/files/0/contentType", f'must be one of {ACCEPTED}, not "text/html"'),
        ("/files/0/size", "must be at least 1 byte, not 0"),
        ("/files/0/sha256", "must be 32 bytes in base64 or hex"),
        ("/files/1/size", "must be at most 1000 bytes, not 1001"),
        ("/files/2/filename", "must be the name of a file, not blank and not only dots"),
    ]


def test_multipart_rule_texts() -> None:
    """The faults of uploads in parts have the texts of their rules."""
    files = [replace(GOOD, multipart=True, sha256="00" * 32), replace(GOOD, size=PUT_MAX + 1, multipart=False)]
    with pytest.raises(InvalidRequestError) as refused:
        accept(files, LARGE, batch=True)
    assert [fault.detail for fault in refused.value.faults] == [
        "must be omitted for an upload in parts: the store cannot check it",
        f"must not be false for a file of more than {PUT_MAX} bytes",
    ]


def test_all_faults_at_once() -> None:
    """All invalid fields of a declaration are faults of one error."""
    with pytest.raises(InvalidRequestError) as refused:
        accept([Declaration("", "text/html", 0, "x", "y")], POLICY, batch=False)
    pointers = {fault.pointer for fault in refused.value.faults}
    assert pointers == {"/filename", "/contentType", "/size", "/sha256", "/md5"}


def test_one_invalid_file() -> None:
    """One invalid file refuses the batch with the index of the file."""
    with pytest.raises(UnsupportedTypeError) as refused:
        accept([GOOD, Declaration("b", "image/svg+xml", 1)], POLICY, batch=True)
    assert [fault.pointer for fault in refused.value.faults] == ["/files/1/contentType"]


@given(st.binary(min_size=32, max_size=32))
def test_checksum_encodings(data: bytes) -> None:
    """A checksum is decoded from hex in any case and from base64."""
    for text in (data.hex(), data.hex().upper(), base64.b64encode(data).decode()):
        assert digest(text, 32) == data


@pytest.mark.parametrize("junk", ["!", "\n", " ", "\x00"])
def test_checksums_have_no_junk(junk: str) -> None:
    """A checksum with another character inside is refused."""
    text = base64.b64encode(bytes(32)).decode()
    with pytest.raises(ValueError, match="must be 32 bytes"):
        digest(text[:9] + junk + text[9:], 32)


@given(st.text(max_size=100))
def test_any_checksum(text: str) -> None:
    """Any text is decoded to a checksum of the right length or refused with the rule."""
    try:
        data = digest(text, 32)
    except ValueError as error:
        assert str(error) == "must be 32 bytes in base64 or hex"
    else:
        assert data is not None
        assert len(data) == 32


@given(
    st.builds(
        Declaration,
        st.text(),
        st.text(),
        st.integers(),
        st.none() | st.text(),
        st.none() | st.text(),
        st.none() | st.booleans(),
    )
)
def test_any_declaration(declared: Declaration) -> None:
    """Any declaration is accepted within the limits or refused with faults."""
    try:
        (accepted,) = accept([declared], POLICY, batch=False)
    except BrokerError as error:
        assert 400 <= error.status < 500
        assert error.faults
    else:
        assert 1 <= accepted.file.size <= POLICY.max_bytes


@pytest.mark.parametrize(
    ("declared", "filename", "rule"),
    [
        ("", "a", f'must be one of {ACCEPTED}, not ""'),
        ("", "a.xyz", f'must be one of {ACCEPTED}, not "" with the extension "xyz"'),
        ("x/y<b>", "a.b<i>", f'must be one of {ACCEPTED}, not "x/y?b?" with the extension "b?i?"'),
        ("image/heic", "a.heic", f'must be one of {ACCEPTED}, not "image/heic": convert the file to JPEG'),
        ("", "a.HEIC", f'must be one of {ACCEPTED}, not "": convert the file to JPEG'),
        (
            "video/x-matroska",
            "a.mp4",
            f'must be one of {ACCEPTED}, not "video/x-matroska": record or convert it as MP4',
        ),
        ("x" * 99, "a", f'must be one of {ACCEPTED}, not "{"x" * 40}..."'),
    ],
)
def test_type_rule_texts(declared: str, filename: str, rule: str) -> None:
    """A refused type is named, cut and escaped, with the accepted types and with what the user can do."""
    with pytest.raises(UnsupportedTypeError) as refused:
        accept([Declaration(filename, declared, 10)], POLICY, batch=False)
    assert [fault.detail for fault in refused.value.faults] == [rule]


def test_types_of_a_deployment() -> None:
    """A deployment refuses the types that it does not accept, and names those that it does."""
    policy = replace_policy(POLICY, types=frozenset({"audio/mpeg", "audio/wav"}))
    assert accept([GOOD], policy, batch=False)[0].file.media_type.name == "audio/mpeg"
    with pytest.raises(UnsupportedTypeError, match=r'must be one of audio/\{mpeg,wav\}, not "image/png"'):
        accept([Declaration("a", "image/png", 10)], policy, batch=False)


def test_e05_types_of_everyday_clients() -> None:
    """E05: names that browsers and phones send give the canonical type of their format."""
    files = [
        ("a.ogg", "application/ogg", "audio/ogg"),
        ("a.aac", "audio/vnd.dlna.adts", "audio/aac"),
        ("a.mp3", "application/octet-stream", "audio/mpeg"),
        ("a.mp3", "audio/mpeg;charset=utf-8", "audio/mpeg"),
        ("x/recording.webm", "", "video/webm"),
    ]
    accepted = accept([Declaration(name, declared, 1) for name, declared, _ in files], POLICY, batch=True)
    assert [each.file.media_type.name for each in accepted] == [name for _, _, name in files]
