"""One user's requests: their load on the store at once is bounded."""

import asyncio

import pytest

from broker.core.model import ObjectHead, ObjectRef, StoredObject
from broker.errors import NotFoundError
from broker.service.batches import CONCURRENCY
from broker.service.downloads import LinkOptions
from tests.stores.memory import MemoryObjectStore

from .deployment import DECLARED, USER, Deployment


class SlowStore(MemoryObjectStore):
    """A store whose reads take a moment; it counts the reads in flight."""

    under_way = most = 0

    async def head(self, ref: ObjectRef, *, is_long: bool = False) -> StoredObject | None:
        """Read the metadata after a moment."""
        await self._moment()
        return await super().head(ref, is_long=is_long)

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        """Read the first bytes after a moment."""
        await self._moment()
        return await super().first_bytes(ref, count, checksum=checksum)

    async def _moment(self) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1


@pytest.fixture
def store() -> SlowStore:
    """Return a slow store."""
    return SlowStore()


def keys(count: int) -> list[str]:
    """Return ready keys without objects."""
    return [f"media/00000000-0000-4000-8000-{number:012}.mp3" for number in range(count)]


async def test_seq06_refused_batch_stops_its_requests(store: SlowStore) -> None:
    """Of 900 unknown keys the first one ends the batch, and most others cause no request to the store."""
    deployment = Deployment({"DOWNLOAD_ACCESS": "owner"}, store)
    with pytest.raises(NotFoundError):
        await deployment.services.downloads.links(USER, keys(900), LinkOptions())
    await asyncio.sleep(0.01)  # further requests would have been made by then
    assert store.calls["head"] <= 2 * CONCURRENCY
    assert store.under_way == 0


async def test_seq06_batch_confirms_are_bounded(store: SlowStore) -> None:
    """A hundred confirms of one batch make a bounded number of requests to the store at once."""
    deployment = Deployment(store=store)
    created = await deployment.create_many([DECLARED] * 100)
    for each in created:
        deployment.put(each)
    outcomes = await deployment.services.uploads.confirm_many(USER, [each.upload_id for each in created])
    assert len(outcomes) == 100
    assert store.most <= 2 * CONCURRENCY  # each confirm reads two keys


async def test_seq05_confirms_share_one_run() -> None:
    """Concurrent confirms of one upload by many upload ids read and copy the object once."""
    deployment = Deployment()
    upload_ids = []
    for _ in range(12):
        deployment.now += 1
        (created,) = await deployment.create_many([DECLARED], idempotency_key="retry-1")
        upload_ids.append(created.upload_id)
    deployment.put(created)
    assert len(set(upload_ids)) == 12
    confirm = deployment.services.uploads.confirm
    outcomes = await asyncio.gather(*(confirm(USER, upload_id) for upload_id in upload_ids))
    assert len({id(outcome) for outcome in outcomes}) == 1
    assert deployment.store.calls == {"head": 1, "first_bytes": 1, "copy": 1}


async def test_expired_id_does_not_join_a_valid_one() -> None:
    """Of two ids of one upload the expired one and the valid one each get their own result."""
    deployment = Deployment()
    (early,) = await deployment.create_many([DECLARED], idempotency_key="retry-1")
    deployment.now += 60
    (late,) = await deployment.create_many([DECLARED], idempotency_key="retry-1")
    assert early.upload.uuid == late.upload.uuid
    deployment.now = early.upload.expires_at
    early_outcome, late_outcome = await asyncio.gather(
        *(deployment.services.uploads.confirm(USER, each.upload_id) for each in (early, late)), return_exceptions=True
    )
    assert [type(outcome).__name__ for outcome in (early_outcome, late_outcome)] == [
        "UploadExpiredError",
        "NotUploadedError",
    ]
