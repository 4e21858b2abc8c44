"""Uploads in parts: begun once, signed exactly, joined from the store's own list, mended, given up."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from broker.core.limits import MIB
from broker.core.model import ObjectRef, Part, UploadStatus
from broker.core.parts import PREFERRED
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

SIZE = 2 * PREFERRED + 5
LARGE = replace(DECLARED, size=SIZE, multipart=True)


def store_id(created: CreatedUpload) -> str:
    """What the store calls the upload."""
    assert created.upload.multipart
    return created.upload.multipart.s3_upload_id


def send(deployment: Deployment, created: CreatedUpload, *numbers: int) -> None:
    """These parts, as large as they should be and nearly without bytes."""
    for number in numbers:
        body = MP3 if number == 1 else b"part %d" % number
        deployment.store.put_part(store_id(created), number, body, size=5 if number == 3 else PREFERRED)


@pytest.fixture
def deployment() -> Deployment:
    """One deployment."""
    return Deployment()


@pytest.fixture
async def created(deployment: Deployment) -> CreatedUpload:
    """An upload in three parts."""
    return await deployment.create(LARGE)


async def test_each_parts_url_signs_its_number_and_its_exact_size(
    deployment: Deployment, created: CreatedUpload
) -> None:
    signed = deployment.services.uploads.presign_parts(USER, created.upload_id, [3, 1, 3])

    assert [(part.number, part.size) for part in signed.parts] == [(3, 5), (1, PREFERRED), (3, 5)]
    assert signed.expires_at == deployment.now + 900
    for part in signed.parts:
        query = parse_qs(urlsplit(part.url).query)
        assert (query["partNumber"], query["uploadId"]) == ([str(part.number)], [store_id(created)])
        assert query["X-Amz-SignedHeaders"] == ["content-length;host"]


async def test_no_url_outlives_its_upload(deployment: Deployment, created: CreatedUpload) -> None:
    deployment.now = created.upload.expires_at - 60
    assert (
        deployment.services.uploads.presign_parts(USER, created.upload_id, [1]).expires_at == created.upload.expires_at
    )
    deployment.now += 60
    with pytest.raises(UploadExpiredError):
        deployment.services.uploads.presign_parts(USER, created.upload_id, [1])


@pytest.mark.parametrize(("numbers", "named"), [([0], "0"), ([4, 5, 6, 9], "4-6, 9"), ([1, -3], "-3")])
async def test_a_part_that_there_is_not_is_named(
    deployment: Deployment, created: CreatedUpload, numbers: list[int], named: str
) -> None:
    with pytest.raises(InvalidRequestError, match=f"must be 1 to 3, not {named}"):
        deployment.services.uploads.presign_parts(USER, created.upload_id, numbers)


async def test_an_upload_in_one_put_has_no_parts(deployment: Deployment) -> None:
    created = await deployment.create()
    with pytest.raises(InvalidRequestError):
        deployment.services.uploads.presign_parts(USER, created.upload_id, [1])


async def test_another_user_can_do_nothing_with_it(deployment: Deployment, created: CreatedUpload) -> None:
    with pytest.raises(NotFoundError):
        deployment.services.uploads.presign_parts(OTHER, created.upload_id, [1])
    with pytest.raises(NotFoundError):
        await deployment.services.uploads.abort(OTHER, created.upload_id)
    assert store_id(created) in deployment.store.multiparts


async def test_progress_is_what_the_store_lists(deployment: Deployment, created: CreatedUpload) -> None:
    async def status() -> tuple[UploadStatus, int, list[int]]:
        found = await deployment.services.uploads.status(USER, created.upload_id)
        return found.status, found.uploaded_bytes, [part.number for part in found.parts]

    assert await status() == (UploadStatus.PENDING, 0, [])
    send(deployment, created, 3, 1)
    assert await status() == (UploadStatus.UPLOADING, PREFERRED + 5, [1, 3])
    send(deployment, created, 2)
    await deployment.confirm(created.upload_id)
    assert await status() == (UploadStatus.READY, SIZE, [])
    deployment.now += 10 * 86_400
    assert (await status())[0] is UploadStatus.READY


async def test_a_whole_upload_is_joined_once_and_confirmed(deployment: Deployment, created: CreatedUpload) -> None:
    send(deployment, created, 1, 2, 3)

    first = await deployment.confirm(created.upload_id)

    assert await deployment.confirm(created.upload_id) == first
    assert first.track.etag.endswith("-3")
    assert deployment.store.calls["complete_multipart"] == 1
    assert deployment.store.multiparts == {}


async def test_what_is_missing_or_wrong_is_named_and_mended(deployment: Deployment, created: CreatedUpload) -> None:
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


async def test_a_confirm_whose_completion_lost_its_answer_is_repeated(
    deployment: Deployment, created: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(deployment, created, 1, 2, 3)
    complete = deployment.store.complete_multipart

    async def lost(*arguments: Any) -> None:
        await complete(*arguments)
        raise StorageUnavailableError("the answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(deployment.store, "complete_multipart", lost)
        with pytest.raises(StorageUnavailableError):
            await deployment.confirm(created.upload_id)
    assert (await deployment.services.uploads.status(USER, created.upload_id)).status is UploadStatus.UPLOADED
    assert await deployment.confirm(created.upload_id)


async def test_parts_that_another_process_joined_meanwhile_are_confirmed(
    deployment: Deployment, created: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(deployment, created, 1, 2, 3)
    list_parts, complete = deployment.store.list_parts, deployment.store.complete_multipart

    async def raced(ref: ObjectRef, s3_upload_id: str) -> list[Part] | None:
        parts = await list_parts(ref, s3_upload_id)
        await complete(ref, s3_upload_id, parts or [])
        return parts

    monkeypatch.setattr(deployment.store, "list_parts", raced)
    assert await deployment.confirm(created.upload_id)


async def test_bytes_of_another_type_are_refused(deployment: Deployment, created: CreatedUpload) -> None:
    send(deployment, created, 2, 3)
    deployment.store.put_part(store_id(created), 1, b"\x89PNG\r\n\x1a\n", size=PREFERRED)
    with pytest.raises(ContentMismatchError):
        await deployment.confirm(created.upload_id)


async def test_an_aborted_upload_stays_so(deployment: Deployment, created: CreatedUpload) -> None:
    send(deployment, created, 1)
    for _ in range(2):
        await deployment.services.uploads.abort(USER, created.upload_id)

    assert deployment.store.multiparts == {}
    assert (await deployment.services.uploads.status(USER, created.upload_id)).status is UploadStatus.DELETED
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)


async def test_an_upload_whose_parts_the_bucket_removed_is_expired(
    deployment: Deployment, created: CreatedUpload
) -> None:
    deployment.store.multiparts.clear()
    assert (await deployment.services.uploads.status(USER, created.upload_id)).status is UploadStatus.EXPIRED
    with pytest.raises(UploadExpiredError):
        await deployment.confirm(created.upload_id)


async def test_an_abort_after_the_parts_were_joined_is_final(deployment: Deployment, created: CreatedUpload) -> None:
    send(deployment, created, 2, 3)
    deployment.store.put_part(store_id(created), 1, b"no MP3", size=PREFERRED)
    with pytest.raises(ContentMismatchError):
        await deployment.confirm(created.upload_id)
    await deployment.services.uploads.abort(USER, created.upload_id)
    assert [is_tombstone(stored) for stored, _ in deployment.store.objects.values()] == [True]


async def test_a_deletion_while_parts_are_joined_wins(
    deployment: Deployment, created: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEQ09: the completion is create-only, and what it left of the parts is aborted."""
    send(deployment, created, 1, 2, 3)
    complete = deployment.store.complete_multipart

    async def after_a_tombstone(ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        await deployment.store.put_empty(ref, headers=HEADERS)
        return await complete(ref, s3_upload_id, parts)

    monkeypatch.setattr(deployment.store, "complete_multipart", after_a_tombstone)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)
    assert deployment.store.multiparts == {}


async def test_a_retried_create_of_a_deleted_upload_is_refused(deployment: Deployment) -> None:
    """SEQ02: nothing is sent in vain."""
    (created,) = await deployment.create_many([LARGE], idempotency_key="retry-1")
    await deployment.services.uploads.abort(USER, created.upload_id)
    with pytest.raises(UploadDeletedError):
        await deployment.create_many([LARGE], idempotency_key="retry-1")
    deployment.now += 86_400
    (later,) = await deployment.create_many([LARGE], idempotency_key="retry-1")
    assert later.upload.uuid != created.upload.uuid


async def test_an_expired_upload_is_neither_joined_nor_confirmed(
    deployment: Deployment, created: CreatedUpload
) -> None:
    send(deployment, created, 1, 2, 3)
    deployment.now = created.upload.expires_at
    with pytest.raises(UploadExpiredError):
        await deployment.confirm(created.upload_id)
    assert (await deployment.services.uploads.status(USER, created.upload_id)).status is UploadStatus.EXPIRED
    assert deployment.store.calls["complete_multipart"] == 0


async def test_a_retried_create_takes_up_what_was_begun_even_at_once(deployment: Deployment) -> None:
    create = deployment.create_many
    batches = await asyncio.gather(*(create([LARGE, DECLARED, LARGE], idempotency_key="retry-1") for _ in range(5)))
    batches.append(await create([LARGE, DECLARED, LARGE], idempotency_key="retry-1"))

    assert len({store_id(created) for batch in batches for created in (batch[0], batch[2])}) == 2
    assert deployment.store.calls["create_multipart"] == 2
    assert all(batch[1].request for batch in batches)


async def test_a_store_that_is_away_begins_no_parts_and_still_signs_one_put(deployment: Deployment) -> None:
    deployment.store.failing = {"create_multipart"}
    with pytest.raises(StorageUnavailableError):
        await deployment.create(LARGE)
    assert (await deployment.create(replace(LARGE, multipart=False, size=64 * MIB))).request
