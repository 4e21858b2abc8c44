"""Uploads in parts: created once, presigned exactly, completed from the store's own list, repaired, aborted."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from broker.core.limits import MIB
from broker.core.model import ObjectRef, Part, UploadStatus
from broker.core.parts import PREFERRED_PART_SIZE
from broker.core.tombstone import HEADERS, is_tombstone
from broker.errors import (
    ContentMismatchError,
    InvalidRequestError,
    NotFoundError,
    PartsMissingError,
    SizeMismatchError,
    StorageUnavailableError,
    UploadDeletedError,
    UploadExpiredError,
)
from broker.service.uploads import CreatedUpload

from .deployment import DECLARED, MP3, OTHER, USER, Deployment

SIZE = 2 * PREFERRED_PART_SIZE + 5
LARGE = replace(DECLARED, size=SIZE, multipart=True)


def store_id(created: CreatedUpload) -> str:
    """Return the S3 UploadId of an upload."""
    assert created.upload.multipart
    return created.upload.multipart.s3_upload_id


def send(deployment: Deployment, created: CreatedUpload, *numbers: int) -> None:
    """Store these parts with their declared sizes and few bytes."""
    for number in numbers:
        body = MP3 if number == 1 else b"part %d" % number
        deployment.store.put_part(store_id(created), number, body, size=5 if number == 3 else PREFERRED_PART_SIZE)


@pytest.fixture
def deployment() -> Deployment:
    """Return a deployment."""
    return Deployment()


@pytest.fixture
async def created(deployment: Deployment) -> CreatedUpload:
    """Return a new upload in three parts."""
    return await deployment.create(LARGE)


async def test_part_url_signs_number_and_size(deployment: Deployment, created: CreatedUpload) -> None:
    """The URL of a part signs its part number and its exact size."""
    signed = deployment.services.uploads.presign_parts(USER, created.upload_id, [3, 1, 3])

    assert [(part.number, part.size) for part in signed.parts] == [(3, 5), (1, PREFERRED_PART_SIZE), (3, 5)]
    assert signed.expires_at == deployment.now + 900
    for part in signed.parts:
        query = parse_qs(urlsplit(part.url).query)
        assert (query["partNumber"], query["uploadId"]) == ([str(part.number)], [store_id(created)])
        assert query["X-Amz-SignedHeaders"] == ["content-length;host"]


async def test_part_url_expires_with_its_upload(deployment: Deployment, created: CreatedUpload) -> None:
    """No part URL is valid longer than its upload, and an expired upload gets none."""
    deployment.now = created.upload.expires_at - 60
    assert (
        deployment.services.uploads.presign_parts(USER, created.upload_id, [1]).expires_at == created.upload.expires_at
    )
    deployment.now += 60
    with pytest.raises(UploadExpiredError):
        deployment.services.uploads.presign_parts(USER, created.upload_id, [1])


@pytest.mark.parametrize(("numbers", "named"), [([0], "0"), ([4, 5, 6, 9], "4-6, 9"), ([1, -3], "-3")])
async def test_unknown_part_numbers_are_named(
    deployment: Deployment, created: CreatedUpload, numbers: list[int], named: str
) -> None:
    """Part numbers outside of the plan are named in the error."""
    with pytest.raises(InvalidRequestError, match=f"must be 1 to 3, not {named}"):
        deployment.services.uploads.presign_parts(USER, created.upload_id, numbers)


async def test_single_put_has_no_parts(deployment: Deployment) -> None:
    """An upload by a single PUT has no part URLs."""
    created = await deployment.create()
    with pytest.raises(InvalidRequestError):
        deployment.services.uploads.presign_parts(USER, created.upload_id, [1])


async def test_other_user_cannot_use_the_upload(deployment: Deployment, created: CreatedUpload) -> None:
    """Another user can neither presign parts of the upload nor abort it."""
    with pytest.raises(NotFoundError):
        deployment.services.uploads.presign_parts(OTHER, created.upload_id, [1])
    with pytest.raises(NotFoundError):
        await deployment.services.uploads.abort(OTHER, created.upload_id)
    assert store_id(created) in deployment.store.multiparts


async def test_status_follows_the_stored_parts(deployment: Deployment, created: CreatedUpload) -> None:
    """The status, bytes and parts of an upload are those that the store lists."""

    async def status() -> tuple[UploadStatus, int, list[int]]:
        found = await deployment.services.uploads.progress(USER, created.upload_id)
        return found.status, found.uploaded_bytes, [part.number for part in found.parts]

    assert await status() == (UploadStatus.PENDING, 0, [])
    send(deployment, created, 3, 1)
    assert await status() == (UploadStatus.UPLOADING, PREFERRED_PART_SIZE + 5, [1, 3])
    send(deployment, created, 2)
    await deployment.confirm(created.upload_id)
    assert await status() == (UploadStatus.READY, SIZE, [])
    deployment.now += 10 * 86_400
    assert (await status())[0] is UploadStatus.READY


async def test_complete_upload_is_completed_once(deployment: Deployment, created: CreatedUpload) -> None:
    """An upload with all parts is completed once, however often it is confirmed."""
    send(deployment, created, 1, 2, 3)

    first = await deployment.confirm(created.upload_id)

    assert await deployment.confirm(created.upload_id) == first
    assert first.track.etag.endswith("-3")
    assert deployment.store.calls["complete_multipart"] == 1
    assert deployment.store.multiparts == {}


async def test_missing_and_wrong_parts_can_be_sent_again(deployment: Deployment, created: CreatedUpload) -> None:
    """Missing parts and parts of a wrong size are named, and the upload is confirmed after they were sent again."""
    send(deployment, created, 2)
    with pytest.raises(PartsMissingError) as missing:
        await deployment.confirm(created.upload_id)
    assert [fault.pointer for fault in missing.value.faults] == ["/parts/1", "/parts/3"]

    send(deployment, created, 1, 3)
    deployment.store.put_part(store_id(created), 2, b"too short")
    with pytest.raises(SizeMismatchError) as wrong:
        await deployment.confirm(created.upload_id)
    assert [fault.pointer for fault in wrong.value.faults] == ["/parts/2"]

    send(deployment, created, 2)
    assert await deployment.confirm(created.upload_id)


async def test_lost_completion_response_is_retried(
    deployment: Deployment, created: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A confirm succeeds after the response to an earlier completion was lost."""
    send(deployment, created, 1, 2, 3)
    complete = deployment.store.complete_multipart

    async def lost(*arguments: Any) -> None:
        await complete(*arguments)
        raise StorageUnavailableError("the response was lost")

    with monkeypatch.context() as patched:
        patched.setattr(deployment.store, "complete_multipart", lost)
        with pytest.raises(StorageUnavailableError):
            await deployment.confirm(created.upload_id)
    assert (await deployment.services.uploads.progress(USER, created.upload_id)).status is UploadStatus.UPLOADED
    assert await deployment.confirm(created.upload_id)


async def test_completion_by_another_process_is_confirmed(
    deployment: Deployment, created: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that another process completes at the same time is confirmed."""
    send(deployment, created, 1, 2, 3)
    list_parts, complete = deployment.store.list_parts, deployment.store.complete_multipart

    async def raced(ref: ObjectRef, s3_upload_id: str) -> list[Part] | None:
        parts = await list_parts(ref, s3_upload_id)
        await complete(ref, s3_upload_id, parts or [])
        return parts

    monkeypatch.setattr(deployment.store, "list_parts", raced)
    assert await deployment.confirm(created.upload_id)


async def test_parts_of_another_type_are_refused(deployment: Deployment, created: CreatedUpload) -> None:
    """Parts whose first bytes do not match the declared type are a content mismatch."""
    send(deployment, created, 2, 3)
    deployment.store.put_part(store_id(created), 1, b"\x89PNG\r\n\x1a\n", size=PREFERRED_PART_SIZE)
    with pytest.raises(ContentMismatchError):
        await deployment.confirm(created.upload_id)


async def test_aborted_upload_stays_deleted(deployment: Deployment, created: CreatedUpload) -> None:
    """An aborted upload has no parts, stays deleted, and can be aborted again."""
    send(deployment, created, 1)
    for _ in range(2):
        await deployment.services.uploads.abort(USER, created.upload_id)

    assert deployment.store.multiparts == {}
    assert (await deployment.services.uploads.progress(USER, created.upload_id)).status is UploadStatus.DELETED
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)


async def test_upload_without_its_parts_is_expired(deployment: Deployment, created: CreatedUpload) -> None:
    """An upload whose parts the bucket's lifecycle rule removed is expired."""
    deployment.store.multiparts.clear()
    assert (await deployment.services.uploads.progress(USER, created.upload_id)).status is UploadStatus.EXPIRED
    with pytest.raises(UploadExpiredError):
        await deployment.confirm(created.upload_id)


async def test_abort_after_completion_is_final(deployment: Deployment, created: CreatedUpload) -> None:
    """An abort after the completion of the parts leaves only a tombstone."""
    send(deployment, created, 2, 3)
    deployment.store.put_part(store_id(created), 1, b"no MP3", size=PREFERRED_PART_SIZE)
    with pytest.raises(ContentMismatchError):
        await deployment.confirm(created.upload_id)
    await deployment.services.uploads.abort(USER, created.upload_id)
    assert [is_tombstone(stored) for stored, _ in deployment.store.objects.values()] == [True]


async def test_deletion_during_completion_wins(
    deployment: Deployment, created: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tombstone that is written before the completion wins, and the parts are aborted (SEQ09)."""
    send(deployment, created, 1, 2, 3)
    complete = deployment.store.complete_multipart

    async def after_a_tombstone(ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        await deployment.store.put_empty(ref, headers=HEADERS)
        return await complete(ref, s3_upload_id, parts)

    monkeypatch.setattr(deployment.store, "complete_multipart", after_a_tombstone)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)
    assert deployment.store.multiparts == {}


async def test_retried_create_of_deleted_upload_is_refused(deployment: Deployment) -> None:
    """A retried create of a deleted upload is refused until its idempotency period ends (SEQ02)."""
    (created,) = await deployment.create_many([LARGE], idempotency_key="retry-1")
    await deployment.services.uploads.abort(USER, created.upload_id)
    with pytest.raises(UploadDeletedError):
        await deployment.create_many([LARGE], idempotency_key="retry-1")
    deployment.now += 86_400
    (later,) = await deployment.create_many([LARGE], idempotency_key="retry-1")
    assert later.upload.uuid != created.upload.uuid


async def test_expired_upload_is_not_completed(deployment: Deployment, created: CreatedUpload) -> None:
    """An expired upload is neither completed nor confirmed."""
    send(deployment, created, 1, 2, 3)
    deployment.now = created.upload.expires_at
    with pytest.raises(UploadExpiredError):
        await deployment.confirm(created.upload_id)
    assert (await deployment.services.uploads.progress(USER, created.upload_id)).status is UploadStatus.EXPIRED
    assert deployment.store.calls["complete_multipart"] == 0


async def test_retried_create_reuses_the_multipart_upload(deployment: Deployment) -> None:
    """Repeated and concurrent creates with one idempotency key share their multipart uploads."""
    create = deployment.create_many
    batches = await asyncio.gather(*(create([LARGE, DECLARED, LARGE], idempotency_key="retry-1") for _ in range(5)))
    batches.append(await create([LARGE, DECLARED, LARGE], idempotency_key="retry-1"))

    assert len({store_id(created) for batch in batches for created in (batch[0], batch[2])}) == 2
    assert deployment.store.calls["create_multipart"] == 2
    assert all(batch[1].request for batch in batches)


async def test_create_in_parts_needs_the_store(deployment: Deployment) -> None:
    """While the store is unavailable a create in parts fails and a create of a single PUT succeeds."""
    deployment.store.failing = {"create_multipart"}
    with pytest.raises(StorageUnavailableError):
        await deployment.create(LARGE)
    assert (await deployment.create(replace(LARGE, multipart=False, size=64 * MIB))).request
