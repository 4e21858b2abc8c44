"""One run over a store in memory: safety, deletion, rate, retries, stops."""

import asyncio
import time

import pytest

from broker.core.layout import Layout
from broker.core.model import ObjectRef
from broker.core.tombstone import is_tombstone
from broker.errors import StorageUnavailableError
from broker.reconcile import patience, removal
from broker.reconcile.comparison import Counts, Finding
from broker.reconcile.key_list import KeyList
from broker.reconcile.patience import Stop, is_refused, persist
from broker.reconcile.reconciliation import (
    Limits,
    Reconciliation,
    StoppedError,
    UnsafeDeletionError,
    check_list,
    check_share,
)
from broker.service.deletion import Deletion
from tests.patience import PATIENCE
from tests.stores.memory import MemoryObjectStore

LAYOUT = Layout("songs", "staging", "https://store.example", None)
LIMITS = Limits(rate=1000, max_share=10, allows_empty=False)


def key(number: int) -> str:
    """Return one of the keys of these tests."""
    return f"media/{number:08x}-0000-4000-8000-000000000000.mp3"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing wait."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    monkeypatch.setattr(patience, "PAUSE", 0.0)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no retry wait for the store's ``Retry-After``, and no batch for the rate."""

    async def wait(_stop: Stop, _seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Stop, "wait", wait)


@pytest.fixture
def store() -> MemoryObjectStore:
    """Return a store with 20 old objects, three on a page."""
    made = MemoryObjectStore(clock=lambda: 1000)
    made.page_size = 3
    for number in range(20):
        made.put(ObjectRef("songs", key(number)), b"ID3")
    return made


class Run:
    """One run that deletes what is unreferenced."""

    def __init__(self, store: MemoryObjectStore) -> None:
        self.store = store
        self.found: list[Finding] = []
        self.batches: list[removal.Batch] = []
        self.task = Reconciliation(store, Deletion(store, LAYOUT), self.found.append)

    async def go(self, *keys: str, rate: int = 1000) -> None:
        """Compare with these keys, and delete."""
        await self.task.compare(iter(keys), 1000)
        async for batch in self.task.delete((finding.key for finding in self.found if finding.stored), rate):
            self.batches.append(batch)

    @property
    def present(self) -> list[str]:
        """The keys of the ready objects."""
        return sorted(ref.key for ref in self.store.objects if ref.bucket == "songs")

    @property
    def tombstones(self) -> int:
        """The number of tombstones."""
        return sum(is_tombstone(stored) for ref, (stored, _) in self.store.objects.items() if ref.bucket == "staging")


async def test_all_pages_are_compared(store: MemoryObjectStore) -> None:
    """Every page is compared, and exactly the unreferenced objects are deleted, each with a tombstone."""
    run = Run(store)
    await run.go(key(3), key(7), key(99))
    assert (run.present, run.tombstones) == ([key(3), key(7)], 18)
    assert (run.task.deleted, run.task.failed, run.task.is_compared) == (18, 0, True)
    assert [finding.key for finding in run.found if not finding.stored] == [key(99)]


async def test_other_prefixes_are_not_listed(store: MemoryObjectStore) -> None:
    """Objects outside of media/ are not touched."""
    store.put(ObjectRef("songs", "incoming/x"), b"x")
    store.put(ObjectRef("songs", "zebra"), b"x")
    run = Run(store)
    await run.go()
    assert (run.present, run.task.counts.foreign) == (["incoming/x", "zebra"], 0)


async def test_rate_is_bounded(store: MemoryObjectStore) -> None:
    """Deletions do not exceed the rate, however fast the store is."""
    began = time.monotonic()
    await Run(store).go(*map(key, range(15)), rate=10)
    assert time.monotonic() - began >= 0.4


async def test_batches_are_small(store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has at most the objects of one second, and not more than a signal can wait for."""
    monkeypatch.setattr(removal, "BATCH_MAX", 8)
    run = Run(store)
    await run.go()
    assert [len(batch.deleted) for batch in run.batches] == [8, 8, 4]


async def test_failed_key_is_reported(store: MemoryObjectStore) -> None:
    """An object that the store does not delete is reported with the reason, and the others are deleted."""
    store.undeletable = {key(4)}
    run = Run(store)
    await run.go()
    assert (run.present, run.task.failed) == ([key(4)], 1)
    assert run.batches[0].failed == {key(4): "InternalError"}


@pytest.mark.usefixtures("no_pauses")
async def test_refused_deletion_ends_the_run(store: MemoryObjectStore) -> None:
    """If nothing of a batch is deleted, the run ends with the reason."""
    store.undeletable = set(map(key, range(20)))
    run = Run(store)
    with pytest.raises(StorageUnavailableError) as error:
        await run.go()
    assert "DeleteObjects returned InternalError" in error.value.reason
    assert run.task.deleted == 0


@pytest.mark.parametrize("verb", ["list_objects", "put_empty", "delete_many"])
@pytest.mark.usefixtures("no_pauses")
async def test_failing_store_ends_the_run(store: MemoryObjectStore, verb: str) -> None:
    """A store that does not recover ends the run after some attempts."""
    store.failing = {verb}
    run = Run(store)
    with pytest.raises(StorageUnavailableError):
        await run.go()
    assert (store.calls[verb] >= patience.ATTEMPTS, len(run.present)) == (True, 20)


async def test_short_outage_is_survived() -> None:
    """Calls that fail for a while are repeated."""
    stop, calls = Stop(), iter([StorageUnavailableError("late", retry_after=0)] * 3)

    async def call() -> str:
        for error in calls:
            raise error
        return "done"

    assert await persist(call, stop) == "done"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("ListObjectsV2 returned 403, AccessDenied", True),
        ("ListObjectsV2 returned 404, NoSuchBucket", True),
        ("ListMultipartUploads returned 501", True),
        ("DeleteObjects returned AccessDenied", True),
        ("PutObject returned 429, TooManyRequests", False),
        ("PutObject returned 408", False),
        ("PutObject returned 500, InternalError", False),
        ("PutObject got no response, TimeoutError", False),
    ],
)
async def test_refusals_are_not_repeated(reason: str, expected: bool) -> None:
    """A refusal ends the run at once, any other failure is repeated."""
    calls = []

    async def call() -> None:
        calls.append(1)
        raise StorageUnavailableError(reason, retry_after=0)

    assert is_refused(reason) is expected
    with pytest.raises(StorageUnavailableError):
        await persist(call, Stop())
    assert len(calls) == (1 if expected else patience.ATTEMPTS)


async def test_stop_ends_the_listing(store: MemoryObjectStore) -> None:
    """A stop during the listing ends the run before anything is deleted."""
    run = Run(store)
    run.task.report = lambda _: run.task.stop.set()
    with pytest.raises(StoppedError):
        await run.task.compare(iter([]), 1000)
    assert (run.task.is_compared, store.calls["list_objects"]) == (False, 1)


async def test_stop_waits_for_the_batch(store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop during the deletion ends it after the batch in progress, and the next run deletes the rest."""
    monkeypatch.setattr(removal, "BATCH_MAX", 5)
    run = Run(store)
    deleting = run.task.deletion.store.delete_many

    async def stopping(bucket: str, keys: list[str]) -> dict[str, str]:
        run.task.stop.set()
        return await deleting(bucket, keys)

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete_many", stopping)
        with pytest.raises(StoppedError):
            await run.go(rate=5)
    assert (len(run.present), run.tombstones) == (15, 5)
    again = Run(store)
    await again.go()
    assert (again.present, again.tombstones) == ([], 20)


async def test_stop_ends_a_pause() -> None:
    """A stop ends the pause before a retry, and then no further attempt follows."""
    stop = Stop()
    asyncio.get_running_loop().call_later(0.01, stop.set)
    calls = []

    async def call() -> None:
        calls.append(1)
        raise StorageUnavailableError("late", retry_after=int(PATIENCE))

    with pytest.raises(StorageUnavailableError):
        await asyncio.wait_for(persist(call, stop), PATIENCE / 2)
    assert len(calls) == 2


def listed(count: int, *, is_cut: bool = False) -> KeyList:
    """Return a list of so many keys."""
    made = KeyList()
    made.count, made.is_cut = count, is_cut
    return made


def test_unsafe_lists_are_refused() -> None:
    """A list that is empty, or may be cut off, permits no deletion."""
    check_list(listed(1), LIMITS)
    check_list(listed(0), LIMITS._replace(allows_empty=True))
    with pytest.raises(UnsafeDeletionError, match="--allow-empty"):
        check_list(listed(0), LIMITS)
    with pytest.raises(UnsafeDeletionError, match="cut off"):
        check_list(listed(1, is_cut=True), LIMITS)


@pytest.mark.parametrize(
    ("unreferenced", "objects", "share", "advice"),
    [(0, 0, 0, None), (1, 10, 10, None), (2, 19, 10, 11), (1, 10, 9, 10), (1, 1000, 0, 1), (5, 5, 99, 100)],
)
def test_share_is_limited(unreferenced: int, objects: int, share: int, advice: int | None) -> None:
    """More than the permitted share is refused, and the message has the share that would be needed."""
    counts, limits = Counts(objects=objects, unreferenced=unreferenced), LIMITS._replace(max_share=share)
    if advice is None:
        check_share(counts, limits)
        return
    with pytest.raises(UnsafeDeletionError, match=f"add --max-share {advice}$"):
        check_share(counts, limits)
    check_share(counts, LIMITS._replace(max_share=advice))
