"""The comparison of a staged object with its declared file."""

from dataclasses import replace

import pytest
from msgspec import structs

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import Content, FileSpec, ObjectHead, StoredObject
from broker.core.verification import check
from broker.errors import (
    BrokerError,
    ChecksumMismatchError,
    ContentMismatchError,
    EncodingMismatchError,
    NotUploadedError,
    SizeMismatchError,
    TypeMismatchError,
)
from tests.small_files import IHDR, id3, mp3

MD5 = bytes(range(16))
FILE = FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 100)
STORED = StoredObject(100, "audio/mpeg", MD5.hex(), 0, {})
FIRST_BYTES = mp3(100)


@pytest.mark.parametrize("file", [FILE, structs.replace(FILE, md5=MD5)])
def test_matching_object(file: FileSpec) -> None:
    """An object that matches its declaration is returned."""
    assert check(file, ObjectHead(STORED, FIRST_BYTES)) is STORED


@pytest.mark.parametrize(
    ("file", "head", "error", "rule"),
    [
        (
            FILE,
            None,
            NotUploadedError,
            "The file is not uploaded yet. Send it to the upload's URL, then confirm the upload.",
        ),
        (
            FILE,
            ObjectHead(replace(STORED, size=99), FIRST_BYTES),
            SizeMismatchError,
            "The stored object must have 100 bytes, not 99.",
        ),
        (
            FILE,
            ObjectHead(replace(STORED, size=101), FIRST_BYTES),
            SizeMismatchError,
            "The stored object must have 100 bytes, not 101.",
        ),
        (
            FILE,
            ObjectHead(replace(STORED, content_encoding="gzip"), FIRST_BYTES),
            EncodingMismatchError,
            "The object must not have a Content-Encoding.",
        ),
        (
            FILE,
            ObjectHead(replace(STORED, content_type="text/html"), FIRST_BYTES),
            TypeMismatchError,
            "The Content-Type of the stored object must be audio/mpeg, not text/html.",
        ),
        (
            structs.replace(FILE, md5=b"x" * 16),
            ObjectHead(STORED, FIRST_BYTES),
            ChecksumMismatchError,
            "The MD5 of the stored object must be the declared one.",
        ),
        (
            FILE,
            ObjectHead(STORED, b"<html>"),
            ContentMismatchError,
            "The object must be audio/mpeg, but its bytes look like HTML or XML.",
        ),
        (
            FILE,
            ObjectHead(STORED, b"ID3\4\0\0\0\0\0\0" + IHDR),
            ContentMismatchError,
            "The object must be audio/mpeg, but does not begin as such a file must.",
        ),
        (
            structs.replace(FILE, media_type=MEDIA_TYPE_BY_NAME["image/png"]),
            ObjectHead(replace(STORED, content_type="image/png"), b"\x89PNG\r\n\x1a\n"),
            ContentMismatchError,
            "The object must be image/png, but does not begin as such a file must. Check whether it is damaged.",
        ),
        (
            structs.replace(FILE, media_type=MEDIA_TYPE_BY_NAME["image/png"]),
            ObjectHead(replace(STORED, content_type="image/png"), FIRST_BYTES),
            ContentMismatchError,
            "The object must be image/png, but its bytes look like MP3. Check the file and its contentType.",
        ),
    ],
)
def test_differences(
    file: FileSpec,
    head: ObjectHead | None,
    error: type[BrokerError],
    rule: str,
) -> None:
    """Each difference between object and declaration has its own error and text."""
    with pytest.raises(error) as refused:
        check(file, head)
    assert refused.value.detail.startswith(rule)


def test_content_behind_a_long_tag() -> None:
    """The bytes behind a long tag decide, with the bytes that the file has from there."""
    head = ObjectHead(replace(STORED, size=20_100), id3(20_000)[:16_384])
    file = structs.replace(FILE, size=20_100)
    assert check(file, head, Content(20_010, mp3(90))) is head.stored
    for content in (Content(20_010, b"<html>" * 15), None):
        with pytest.raises(ContentMismatchError):
            check(file, head, content)
