"""What a store says of an object, against what its client promised."""

from dataclasses import replace

import pytest
from msgspec import structs

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, ObjectHead, Principal, StoredObject, Upload
from broker.core.verification import check
from broker.errors import (
    BrokerError,
    ChecksumMismatchError,
    ContentMismatchError,
    NotUploadedError,
    SizeMismatchError,
    TypeMismatchError,
)

MD5 = bytes(range(16))
FILE = FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 100)
STORED = StoredObject(100, "audio/mpeg", MD5.hex(), 0, {})
HEAD = b"ID3\x04"


@pytest.mark.parametrize("file", [FILE, structs.replace(FILE, md5=MD5)])
def test_what_was_promised_is_the_stored_object(file: FileSpec) -> None:
    assert check(file, ObjectHead(STORED, HEAD)) is STORED


@pytest.mark.parametrize(
    ("file", "beginning", "error", "rule"),
    [
        (
            FILE,
            None,
            NotUploadedError,
            "The file is not uploaded yet. Send it to the upload's URL, then confirm the upload.",
        ),
        (
            FILE,
            ObjectHead(replace(STORED, size=99), HEAD),
            SizeMismatchError,
            "The stored object must have 100 bytes, not 99.",
        ),
        (
            FILE,
            ObjectHead(replace(STORED, size=101), HEAD),
            SizeMismatchError,
            "The stored object must have 100 bytes, not 101.",
        ),
        (
            FILE,
            ObjectHead(replace(STORED, content_type="text/html"), HEAD),
            TypeMismatchError,
            "The Content-Type of the stored object must be audio/mpeg, not text/html.",
        ),
        (
            structs.replace(FILE, md5=b"x" * 16),
            ObjectHead(STORED, HEAD),
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
def test_what_differs_is_named(
    file: FileSpec,
    beginning: ObjectHead | None,
    error: type[BrokerError],
    rule: str,
) -> None:
    with pytest.raises(error) as refused:
        check(file, beginning)
    assert refused.value.detail.startswith(rule)


def test_an_upload_expires_at_its_instant() -> None:
    upload = Upload("id", "user-1", FILE, expires_at=1000)
    assert [upload.is_expired(now) for now in (999, 999.9, 1000, 1001)] == [False, False, True, True]


def test_a_user_acts_for_itself_and_a_service_for_all() -> None:
    owners = ("user-1", "user-2", None)
    assert [Principal("user-1").may_act_for(owner) for owner in owners] == [True, False, False]
    assert [Principal("user-1", is_service=True).may_act_for(owner) for owner in owners] == [True, True, True]
