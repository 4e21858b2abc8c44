"""Confirms, deletions and copies of several processes, in the orders that decide."""

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
    """Carries out a copy whose condition held, however late: ``meanwhile`` runs before the object is there."""

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectRef,
        *,
        if_match: str,
        headers: Mapping[str, str],
        size: int = PUT_MAX,
    ) -> CopiedObject | None:
        """A copy between whose condition and whose end a deletion fits."""
        made = await super().copy(source, target, if_match=if_match, headers=headers, size=size)
        kept = self.objects.pop(target)
        await self.meanwhile(source, target)
        self.objects[target] = kept
        return made

    async def meanwhile(self, source: ObjectRef, target: ObjectRef) -> None:
        """A whole deletion by another process."""
        await self.put_empty(source, headers=HEADERS)
        await self.delete(target)


async def test_seq09_a_copy_that_ends_behind_a_deletion_is_removed_by_its_confirm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It took longer than a deletion waits, so the confirm looks at the staged object once more."""
    monkeypatch.setattr(promotion, "COPY_SETTLES", -1)
    deployment = Deployment(store=LateCopyStore())
    created = await deployment.create()
    staged = deployment.put(created)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)
    assert set(deployment.store.objects) == {staged}


async def test_a_quick_copy_costs_no_second_look() -> None:
    """A deletion waits for it instead."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    await deployment.confirm(created.upload_id)
    assert deployment.store.calls == {"head": 1, "first_bytes": 1, "copy": 1}


async def test_seq09_what_a_deletion_left_half_done_is_finished_by_a_confirm() -> None:
    """A tombstone beside a ready object: the tombstone wins."""
    deployment = Deployment()
    created = await deployment.create()
    staged = deployment.put(created)
    await deployment.confirm(created.upload_id)
    await deployment.store.put_empty(staged, headers=HEADERS)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(created.upload_id)
    assert set(deployment.store.objects) == {staged}


async def test_an_abort_of_a_half_deleted_upload_finishes_it() -> None:
    """It is not taken for a confirmed one."""
    deployment = Deployment()
    created = await deployment.create()
    staged = deployment.put(created)
    await deployment.confirm(created.upload_id)
    await deployment.store.put_empty(staged, headers=HEADERS)
    await deployment.services.uploads.abort(USER, created.upload_id)
    assert set(deployment.store.objects) == {staged}


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_throttled_copy_looks_whether_another_one_made_the_object(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failed condition; without the object it is the store's 429."""
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


async def test_seq09_in_one_process_an_abort_waits_for_the_confirm_of_its_upload() -> None:
    """So that both answers agree, whichever came first."""
    for abort_first in (True, False):
        deployment = Deployment()
        created = await deployment.create()
        deployment.put(created)
        uploads = deployment.services.uploads
        calls = [uploads.confirm(USER, created.upload_id), uploads.abort(USER, created.upload_id)]
        outcomes = await asyncio.gather(*(calls[::-1] if abort_first else calls), return_exceptions=True)
        names = {type(outcome).__name__ for outcome in outcomes}
        assert names in ({"ConfirmedUpload", "UploadConfirmedError"}, {"NoneType", "UploadDeletedError"})


async def test_a_completion_that_made_nothing_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The object of a completed promotion is gone at the look that follows: neither yes nor no."""
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


async def test_a_completion_that_another_promotion_won_gives_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loser's ranges are aborted."""
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
