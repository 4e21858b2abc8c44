"""Upload ids: a sealed upload opens unchanged, and any other text is refused."""

import hmac
import uuid
from itertools import groupby, pairwise

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, Multipart, Upload
from broker.crypto.secrets import b64url, derive
from broker.crypto.upload_ids import UPLOAD_ID_MAX, UploadIds

OLD, NEW = b"o" * 32, b"n" * 32
FILE = FileSpec("My song.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 1234, b"s" * 32, b"m" * 16)
FILE_MEMBERS = ("My song.mp3", "audio/mpeg", 1234)
UPLOAD = Upload("0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55", "user-1", FILE, 1_800_000_000)

uploads = st.builds(
    Upload,
    uuid=st.uuids().map(str),
    owner=st.text(st.characters(codec="utf-8"), min_size=1, max_size=63),  # 255 bytes at most
    file=st.builds(
        FileSpec,
        filename=st.text(st.characters(codec="utf-8"), min_size=1, max_size=255),
        media_type=st.sampled_from([*MEDIA_TYPE_BY_NAME.values()]),
        size=st.integers(1, 5 * 2**40),
        sha256=st.none() | st.binary(min_size=32, max_size=32),
        md5=st.none() | st.binary(min_size=16, max_size=16),
    ),
    expires_at=st.integers(0, 2**40),
    multipart=st.none()
    | st.builds(
        Multipart,
        s3_upload_id=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=1024),
        part_size=st.integers(1, 5 * 2**30),
    ),
)


LARGEST = Upload(
    UPLOAD.uuid,
    "o" * 255,
    FileSpec("\N{MUSICAL SYMBOL G CLEF}" * 255, MEDIA_TYPE_BY_NAME["audio/mpeg"], 5 * 2**40, b"s" * 32, b"m" * 16),
    2**40,
    Multipart("~" * 1024, 5 * 2**30),
)


@example(LARGEST)
@given(uploads)
def test_a_sealed_upload_opens_unchanged(upload: Upload) -> None:
    """A sealed upload opens as it was, and its upload id fits into a path."""
    upload_ids = UploadIds([NEW])
    upload_id = upload_ids.seal(upload)
    assert upload_ids.open(upload_id) == upload
    assert len(upload_id) <= UPLOAD_ID_MAX
    assert set(upload_id) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_an_upload_id_of_the_old_secret_opens() -> None:
    """An upload id of the old secret opens as long as both secrets are configured."""
    assert UploadIds([NEW, OLD]).open(UploadIds([OLD]).seal(UPLOAD)) == UPLOAD


def test_rotation_begins_with_the_old_secret_first() -> None:
    """A process that has only the old secret opens the upload ids of ``old,new``, and none of ``new,old``."""
    assert UploadIds([OLD]).open(UploadIds([OLD, NEW]).seal(UPLOAD)) == UPLOAD
    assert UploadIds([OLD]).open(UploadIds([NEW, OLD]).seal(UPLOAD)) is None


def test_an_upload_id_without_parts_still_opens() -> None:
    """An upload id with eight members, as it was sealed before there were multipart uploads, opens."""
    members = (uuid.UUID(UPLOAD.uuid).bytes, "user-1", *FILE_MEMBERS, UPLOAD.expires_at, FILE.sha256, FILE.md5)
    payload = msgspec.msgpack.encode(members)
    tag = hmac.digest(derive(NEW, "upload ticket v1"), payload, "sha256")[:16]
    assert UploadIds([NEW]).open(b64url(tag + payload)) == UPLOAD


@pytest.mark.parametrize("name", ["audio/mp3", "text/html", ""])
def test_no_upload_id_carries_another_media_type(name: str) -> None:
    """An upload id whose media type is not an accepted canonical name does not open."""
    payload = msgspec.msgpack.encode((uuid.UUID(UPLOAD.uuid).bytes, "user-1", "a", name, 1, UPLOAD.expires_at))
    tag = hmac.digest(derive(NEW, "upload ticket v1"), payload, "sha256")[:16]
    assert UploadIds([NEW]).open(b64url(tag + payload)) is None


def test_an_upload_id_of_another_secret_is_refused() -> None:
    """An upload id that was sealed with another secret does not open."""
    assert UploadIds([NEW]).open(UploadIds([OLD]).seal(UPLOAD)) is None


@given(st.data())
def test_a_changed_upload_id_is_refused(data: st.DataObject) -> None:
    """An upload id in which anything was changed does not open."""
    upload_id = UploadIds([NEW]).seal(UPLOAD)
    at = data.draw(st.integers(0, len(upload_id) - 1))
    other = data.draw(st.characters().filter(lambda c: c != upload_id[at]))
    assert UploadIds([NEW]).open(upload_id[:at] + other + upload_id[at + 1 :]) is None


NOW = 1_800_000_000


@given(st.text() | st.text("AZaz09-_", max_size=200))
def test_other_texts_are_refused(text: str) -> None:
    """A text that is not an upload id does not open."""
    assert UploadIds([NEW]).open(text) is None


@pytest.mark.parametrize("suffix", ["=", "A", " ", "\n"])
def test_an_upload_id_has_one_spelling(suffix: str) -> None:
    """Another spelling of the same bytes does not open."""
    assert UploadIds([NEW]).open(UploadIds([NEW]).seal(UPLOAD) + suffix) is None


def test_a_text_over_the_limit_is_refused() -> None:
    """A text that is longer than the limit does not open."""
    assert UploadIds([NEW]).open("A" * (UPLOAD_ID_MAX + 1)) is None


def test_a_retried_create_gets_the_same_id() -> None:
    """A create with the same idempotency key gets the same UUID."""
    first = UploadIds([NEW]).derived_uuid("user-1", "key-1", 0, FILE, now=NOW)
    assert first == UploadIds([NEW]).derived_uuid("user-1", "key-1", 0, FILE, now=NOW)
    assert uuid.UUID(first).version == 4


def test_every_input_changes_the_id() -> None:
    """Another owner, key, index, file or secret gives another UUID."""
    upload_ids = UploadIds([NEW])
    other = FileSpec("My song.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 1235)
    ids = [
        upload_ids.derived_uuid("user-1", "key-1", 0, FILE, now=NOW),
        upload_ids.derived_uuid("user-2", "key-1", 0, FILE, now=NOW),
        upload_ids.derived_uuid("user-1", "key-2", 0, FILE, now=NOW),
        upload_ids.derived_uuid("user-1", "key-1", 1, FILE, now=NOW),
        upload_ids.derived_uuid("user-1", "key-1", 0, other, now=NOW),
        UploadIds([OLD]).derived_uuid("user-1", "key-1", 0, FILE, now=NOW),
    ]
    assert len(set(ids)) == len(ids)


def test_an_idempotency_key_lasts_a_day() -> None:
    """The period of an idempotency key is one day, for any key and any instant of its first use."""
    upload_ids = UploadIds([NEW])
    for key in map(str, range(20)):
        ids = [upload_ids.derived_uuid("user-1", key, 0, FILE, now=NOW + hour * 3600) for hour in range(72)]
        runs = [len(list(run)) for _, run in groupby(ids)]
        assert len(set(ids)) == len(runs)
        assert runs[1:-1] == [24] * (len(runs) - 2)


def test_periods_start_at_different_instants() -> None:
    """Retries at one instant, midnight for example, do not all fall into two periods."""
    upload_ids = UploadIds([NEW])
    midnight = NOW - NOW % 86_400
    split = [
        key
        for key in map(str, range(200))
        if len({upload_ids.derived_uuid("u", key, 0, FILE, now=now) for now in (midnight - 300, midnight)}) == 2
    ]
    assert len(split) < 10


def test_a_batch_changes_its_ids_together() -> None:
    """A retried batch gets the same UUIDs for all of its files, or other UUIDs for all."""
    upload_ids = UploadIds([NEW])
    pairs = [
        tuple(upload_ids.derived_uuid("u", "key", index, FILE, now=NOW + hour * 3600) for index in (0, 1))
        for hour in range(48)
    ]
    changes = [[before[i] != after[i] for i in (0, 1)] for before, after in pairwise(pairs)]
    assert all(first == second for first, second in changes)


def test_a_rotation_keeps_the_id() -> None:
    """SEQ10: a retry during a rotation of secrets gets the same UUID."""
    before = UploadIds([OLD]).derived_uuid("user-1", "key-1", 0, FILE, now=NOW)
    assert UploadIds([NEW, OLD]).derived_uuid("user-1", "key-1", 0, FILE, now=NOW) == before


def test_upload_ids_outlive_an_update() -> None:
    """A secret gives the upload ids and UUIDs of earlier releases, so that an update loses no upload."""
    file = FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 9)
    upload_id = "vcPKdW2J6YuWQgYp2L42-JrEEAucilJtDkx7nB8vH2o-nVWmdXNlci0xpWEubXAzqmF1ZGlvL21wZWcJzmtJ0gDAwMAA"
    assert UploadIds([NEW]).seal(Upload(UPLOAD.uuid, "user-1", file, 1_800_000_000)) == upload_id
    assert (
        UploadIds([NEW]).derived_uuid("user-1", "retry-1", 0, file, now=NOW) == "448b7378-54a6-4fde-bea4-aebcf039d63d"
    )
