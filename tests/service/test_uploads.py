"""Promise, check, promote: every way a confirm can end, and that each leaves the store as it should be."""

import hashlib
import uuid
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from broker.core.model import ObjectHead, ObjectRef, PresignedRequest, UploadStatus
from broker.core.tombstone import is_tombstone
from broker.core.upload_rules import Declaration
from broker.errors import (
    BrokerError,
    ChecksumMismatchError,
    ContentMismatchError,
    NotFoundError,
    NotUploadedError,
    SizeMismatchError,
    StorageUnavailableError,
    TypeMismatchError,
    UploadConfirmedError,
    UploadDeletedError,
    UploadExpiredError,
)
from broker.service.uploads import CreatedUpload
from tests.stores.memory import MemoryObjectStore

from .deployment import DECLARED, MP3, OTHER, SERVICE, USER, Deployment


def signed(url: str) -> set[str]:
    """The header names that a URL signs."""
    return set(parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";"))


def presigned(created: CreatedUpload) -> PresignedRequest:
    """The request of an upload that is one PUT."""
    assert created.request
    return created.request


async def test_the_url_signs_size_type_and_write_once() -> None:
    request = presigned(await Deployment().create())
    assert request.headers == {"Content-Type": "audio/mpeg", "If-None-Match": "*"}
    assert signed(request.url) == {"host", "content-type", "content-length", "if-none-match"}
    assert request.expires_at == 1_800_000_000 + 900


async def test_declared_checksums_are_signed_and_must_be_sent() -> None:
    request = presigned(await Deployment().create(replace(DECLARED, sha256="00" * 32, md5="11" * 16)))
    assert set(request.headers) == {"Content-Type", "If-None-Match", "x-amz-checksum-sha256", "Content-MD5"}
    assert signed(request.url) == {
        "host", "content-type", "content-length", "if-none-match", "x-amz-checksum-sha256", "content-md5"
    }  # fmt: skip  # a set on one line


async def test_signing_asks_the_store_nothing() -> None:
    deployment = Deployment()
    await deployment.create()
    assert not deployment.store.calls


async def test_staged_objects_go_to_their_own_bucket_and_credentials_when_there_are_any() -> None:
    deployment = Deployment(
        {
            "R2_STAGING_BUCKET_NAME": "inbox",
            "R2_STAGING_ACCESS_KEY_ID": "AKSTAGING",
            "R2_STAGING_SECRET_ACCESS_KEY": "the staging secret",
        }
    )
    url = presigned(await deployment.create()).url
    assert "/inbox/incoming/" in url
    assert "AKSTAGING" in url


async def test_a_confirmed_upload_is_copied_once_and_answers_the_same_for_ever() -> None:
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    first = await deployment.confirm(created.upload_id, USER)
    deployment.now += 10 * 86_400
    assert await deployment.confirm(created.upload_id, SERVICE) == first
    assert deployment.store.calls["copy"] == 1


async def test_a_public_bucket_gives_a_url() -> None:
    deployment = Deployment({"R2_PUBLIC_URL": "https://cdn.example"})
    created = await deployment.create()
    deployment.put(created)
    confirmed = await deployment.confirm(created.upload_id, USER)
    assert confirmed.url == f"https://cdn.example/{confirmed.track.key}"


@pytest.mark.parametrize(
    ("declared", "content", "content_type", "error"),
    [
        (DECLARED, MP3 + b"x", "audio/mpeg", SizeMismatchError),
        (DECLARED, MP3, "audio/mp3", TypeMismatchError),
        (replace(DECLARED, md5="00" * 16), MP3, "audio/mpeg", ChecksumMismatchError),
        (DECLARED, b"<html>".ljust(len(MP3)), "audio/mpeg", ContentMismatchError),
    ],
)
async def test_what_was_not_promised_is_not_promoted(
    declared: Declaration, content: bytes, content_type: str, error: type[BrokerError]
) -> None:
    deployment = Deployment()
    created = await deployment.create(declared)
    deployment.put(created, content, content_type)
    with pytest.raises(error):
        await deployment.confirm(created.upload_id, USER)
    assert deployment.store.calls["copy"] == 0


async def test_nothing_uploaded_and_not_in_time_are_told_apart() -> None:
    deployment = Deployment()
    created = await deployment.create()
    with pytest.raises(NotUploadedError):
        await deployment.confirm(created.upload_id, USER)
    deployment.put(created)
    deployment.now += 86_400
    with pytest.raises(UploadExpiredError):
        await deployment.confirm(created.upload_id, USER)


async def test_foreign_and_unknown_uploads_are_not_found_and_ask_the_store_nothing() -> None:
    """L11, P01: so the answers take the same time, too."""
    deployment = Deployment()
    upload_id = (await deployment.create()).upload_id
    uploads = deployment.services.uploads
    for act in (uploads.confirm, uploads.status, uploads.abort):
        for principal, asked in ((OTHER, upload_id), (USER, "x" + upload_id[1:]), (SERVICE, "")):
            with pytest.raises(NotFoundError):
                await act(principal, asked)
    assert not deployment.store.calls


async def test_a_batch_answers_for_each_in_order() -> None:
    deployment = Deployment()
    created = [await deployment.create() for _ in range(2)]
    deployment.put(created[1])
    outcomes = await deployment.services.uploads.confirm_many(USER, [c.upload_id for c in created])
    assert isinstance(outcomes[0], NotUploadedError)
    assert not isinstance(outcomes[1], BrokerError)


class RacingStore(MemoryObjectStore):
    """Another process promotes, or the client aborts, between our look and our copy."""

    promoted = True

    async def copy(self, source: ObjectRef, target: ObjectRef, **rest: object) -> None:  # noqa: ARG002  the port's shape
        """Too late."""
        if self.promoted:
            self.put(target, MP3)


async def test_who_loses_the_race_to_promote_gives_the_winners_answer() -> None:
    deployment = Deployment(store=RacingStore())
    created = await deployment.create()
    deployment.put(created)
    confirmed = await deployment.confirm(created.upload_id, USER)
    assert confirmed.track.etag == hashlib.md5(MP3).hexdigest()


async def test_a_staged_object_that_goes_away_while_it_is_confirmed_is_neither_yes_nor_no() -> None:
    store = RacingStore()
    store.promoted = False
    deployment = Deployment(store=store)
    created = await deployment.create()
    deployment.put(created)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id, USER)


class ChangingStore(MemoryObjectStore):
    """The object is replaced right after it was looked at."""

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        """The version that was."""
        found = await super().first_bytes(ref, count, checksum=checksum)
        self.put(ref, b"<html>")
        return found


async def test_another_version_than_was_looked_at_is_never_promoted() -> None:
    """P12."""
    deployment = Deployment(store=ChangingStore())
    created = await deployment.create()
    staged = deployment.put(created)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id, USER)
    assert set(deployment.store.objects) == {staged}


async def test_a_confirm_looks_once_at_each_place_and_copies() -> None:
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    await deployment.confirm(created.upload_id, USER)
    assert deployment.store.calls == {"head": 1, "first_bytes": 1, "copy": 1}


async def test_a_store_that_is_down_confirms_nothing_and_denies_nothing() -> None:
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    deployment.store.failing.add("head")
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id, USER)
    deployment.store.failing.clear()
    await deployment.confirm(created.upload_id, USER)


async def test_the_progress_is_what_the_store_has() -> None:
    deployment = Deployment()
    created = await deployment.create()
    progress = deployment.services.uploads.status
    assert (await progress(USER, created.upload_id)).status is UploadStatus.PENDING
    deployment.put(created)
    assert (await progress(USER, created.upload_id)).uploaded_bytes == len(MP3)
    deployment.now += 86_400
    assert (await progress(USER, created.upload_id)).status is UploadStatus.EXPIRED
    deployment.now -= 86_400
    await deployment.confirm(created.upload_id, USER)
    deployment.now += 86_400
    assert (await progress(USER, created.upload_id)).status is UploadStatus.READY


async def test_an_abort_is_final_and_may_be_repeated() -> None:
    deployment = Deployment()
    created = await deployment.create()
    staged = deployment.put(created)
    for _ in range(2):
        await deployment.services.uploads.abort(USER, created.upload_id)
    assert is_tombstone(await deployment.store.head(staged))
    assert (await deployment.services.uploads.status(USER, created.upload_id)).status is UploadStatus.DELETED
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)


async def test_an_abort_of_a_confirmed_upload_is_refused_and_changes_nothing() -> None:
    """P25."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    confirmed = await deployment.confirm(created.upload_id)
    with pytest.raises(UploadConfirmedError):
        await deployment.services.uploads.abort(USER, created.upload_id)
    assert await deployment.confirm(created.upload_id) == confirmed


async def test_a_retried_create_gets_the_same_key_and_another_file_another_one() -> None:
    """B24."""
    create = Deployment().create_many
    wanted = [DECLARED, DECLARED, replace(DECLARED, size=1)]
    first, again = [await create(wanted, idempotency_key="retry-1") for _ in range(2)]
    paths = [urlsplit(presigned(created).url).path for created in (*first, *again)]
    assert paths[:3] == paths[3:]
    assert len(set(paths)) == 3


async def test_a_new_upload_has_a_random_uuid_of_its_own() -> None:
    made = [(await Deployment().create()).upload.uuid for _ in range(200)]
    assert len(set(made)) == len(made)
    parsed = [uuid.UUID(each) for each in made]
    assert {(each.version, each.variant, str(each)) for each in parsed} == {(4, uuid.RFC_4122, each) for each in made}
