"""The comparison of a staged object with its declared file."""

from dataclasses import replace

import pytest
from msgspec import structs

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, ObjectHead, StoredObject
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

MD5 = bytes(range(16))
FILE = FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 100)
STORED = StoredObject(100, "audio/mpeg", MD5.hex(), 0, {})
FIRST_BYTES = b"ID3\x04"


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
            "The first bytes of the object must be those of audio/mpeg.",
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
