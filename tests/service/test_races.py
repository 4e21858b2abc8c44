"""Confirms, deletions and copies of several processes, in the critical orders."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from broker.core.limits import PUT_MAX
from broker.core.model import CopiedObject, ObjectRef
from broker.core.tombstone import HEADERS
from broker.errors import ObjectThrottledError, StorageUnavailableError, UploadDeletedError
from broker.service import promotion
from tests.stores.memory import MemoryObjectStore

from .deployment import MP3, USER, Deployment


class LateCopyStore(MemoryObjectStore):
    """Completes a copy late, after its condition held: ``meanwhile`` runs before the object exists."""

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectRef,
        *,
        if_match: str,
        headers: Mapping[str, str],
        size: int = PUT_MAX,
    ) -> CopiedObject | None:
        """Copy the object, and run ``meanwhile`` before the copy exists."""
        made = await super().copy(source, target, if_match=if_match, headers=headers, size=size)
        kept = self.objects.pop(target)
        await self.meanwhile(source, target)
        self.objects[target] = kept
        return made

    async def meanwhile(self, source: ObjectRef, target: ObjectRef) -> None:
        """Delete the upload as another process does."""
        await self.put_empty(source, headers=HEADERS)
        await self.delete(target)


async def test_seq09_late_copy_is_removed_by_its_confirm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy that ends after a deletion is removed by its confirm, which reads the staged object once more."""
    monkeypatch.setattr(promotion, "COPY_GRACE", -1)
    deployment = Deployment(store=LateCopyStore())
    created = await deployment.create()
    staged = deployment.put(created)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)
    assert set(deployment.store.objects) == {staged}


async def test_quick_copy_reads_the_source_once() -> None:
    """A quick copy causes no second read of the staged object, since a deletion waits for it."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    await deployment.confirm(created.upload_id)
    assert deployment.store.calls == {"head": 1, "first_bytes": 1, "copy": 1}


async def test_seq09_confirm_finishes_a_half_done_deletion() -> None:
    """A confirm that finds a tombstone beside a ready object removes the ready object."""
    deployment = Deployment()
    created = await deployment.create()
    staged = deployment.put(created)
    await deployment.confirm(created.upload_id)
    await deployment.store.put_empty(staged, headers=HEADERS)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)
    assert set(deployment.store.objects) == {staged}


async def test_abort_finishes_a_half_done_deletion() -> None:
    """An abort that finds a tombstone beside a ready object completes the deletion."""
    deployment = Deployment()
    created = await deployment.create()
    staged = deployment.put(created)
    await deployment.confirm(created.upload_id)
    await deployment.store.put_empty(staged, headers=HEADERS)
    await deployment.services.uploads.abort(USER, created.upload_id)
    assert set(deployment.store.objects) == {staged}


@pytest.mark.parametrize("is_there", [True, False])
async def test_throttled_copy_reads_the_target(is_there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throttled copy succeeds if the target exists, and otherwise raises the store's 429."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)

    async def throttled(_source: ObjectRef, target: ObjectRef, **_options: Any) -> None:
        if is_there:
            deployment.store.put(target, MP3)
        raise ObjectThrottledError("CopyObject returned 429", retry_after=5)

    monkeypatch.setattr(deployment.store, "copy", throttled)
    if is_there:
        assert await deployment.confirm(created.upload_id)
    else:
        with pytest.raises(ObjectThrottledError):
            await deployment.confirm(created.upload_id)


async def test_seq09_abort_and_confirm_agree() -> None:
    """A confirm and an abort of one upload in one process have consistent results in either order."""
    for abort_first in (True, False):
        deployment = Deployment()
        created = await deployment.create()
        deployment.put(created)
        uploads = deployment.services.uploads
        calls = [uploads.confirm(USER, created.upload_id), uploads.abort(USER, created.upload_id)]
        outcomes = await asyncio.gather(*(calls[::-1] if abort_first else calls), return_exceptions=True)
        names = {type(outcome).__name__ for outcome in outcomes}
        assert names in ({"ConfirmedUpload", "UploadConfirmedError"}, {"NoneType", "UploadDeletedError"})


async def test_completion_without_object_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A confirm raises StorageUnavailableError if the completed object does not exist."""
    monkeypatch.setattr(promotion, "COPY_MAX", len(MP3) - 1)
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)

    async def nothing(_ref: ObjectRef, s3_upload_id: str, _parts: object) -> bool:
        del deployment.store.multiparts[s3_upload_id]
        return True

    monkeypatch.setattr(deployment.store, "complete_multipart", nothing)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(created.upload_id)


async def test_lost_completion_returns_the_existing_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion that fails because the target exists returns that object, and the ranges are aborted."""
    monkeypatch.setattr(promotion, "COPY_MAX", len(MP3) - 1)
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    complete = deployment.store.complete_multipart

    async def second(ref: ObjectRef, s3_upload_id: str, parts: Any) -> bool:
        deployment.store.put(ref, MP3, etag="a" * 32)
        return await complete(ref, s3_upload_id, parts)

    monkeypatch.setattr(deployment.store, "complete_multipart", second)
    assert (await deployment.confirm(created.upload_id)).track.etag == "a" * 32
    assert deployment.store.multiparts == {}
