"""The promotion of an object that is too large for one copy: in ranges, with a deadline, resumed, aborted."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from broker.core.limits import GIB, OBJECT_MAX, PUT_MAX
from broker.core.model import ObjectRef, Part, Principal
from broker.core.parts import PREFERRED_PART_SIZE, plan
from broker.core.tombstone import is_tombstone
from broker.errors import StorageUnavailableError, UploadDeletedError
from broker.service import promotion
from broker.service.confirmation import ConfirmedUpload
from broker.service.promotion import Promoting
from broker.service.uploads import CreatedUpload
from broker.store.slots import CALLER
from tests.patience import becomes

from .deployment import DECLARED, MP3, OTHER, SERVICE, USER, Deployment

SIZE = PUT_MAX + 1
RANGES = plan(SIZE, promotion.RANGE)


@pytest.fixture
def deployment() -> Deployment:
    """Return a deployment that accepts files of the largest size."""
    return Deployment({"UPLOAD_MAX_BYTES": str(OBJECT_MAX)})


@pytest.fixture
async def staged(deployment: Deployment) -> CreatedUpload:
    """Return an upload whose parts are all stored."""
    return await upload(deployment, SIZE)


async def upload(deployment: Deployment, size: int, principal: Principal = USER) -> CreatedUpload:
    """Create an upload of ``size`` bytes, and store its parts with few bytes."""
    created = await deployment.create(structs.replace(DECLARED, size=size), principal)
    assert created.upload.multipart
    parts = plan(size)
    for number in parts.numbers():
        body = MP3 if number == 1 else b""
        deployment.store.put_part(created.upload.multipart.s3_upload_id, number, body, size=parts.size_of(number))
    return created


def ready(created: CreatedUpload) -> ObjectRef:
    """Return the ready place of an upload."""
    return ObjectRef("songs", f"media/{created.upload.uuid}.mp3")


async def test_large_object_is_copied_in_ranges(deployment: Deployment, staged: CreatedUpload) -> None:
    """A large object is copied in ranges, with the headers of a ready object."""
    confirmed = await deployment.confirm(staged.upload_id)

    found = deployment.store.objects[ready(staged)][0]
    assert (found.size, found.content_type, found.etag) == (SIZE, "audio/mpeg", confirmed.track.etag)
    assert found.metadata == {"owner": "user-1", "filename": "song.mp3"}
    assert confirmed.track.etag.endswith(f"-{RANGES.count}")
    assert deployment.store.calls["copy_part"] == RANGES.count
    assert deployment.store.calls["copy"] == 0
    assert deployment.store.multiparts == {}


async def test_object_of_copy_max_is_copied_whole(deployment: Deployment) -> None:
    """An object of COPY_MAX bytes is copied by a single CopyObject."""
    created = await upload(deployment, promotion.COPY_MAX)
    assert (await deployment.confirm(created.upload_id)).track.etag.endswith(
        f"-{-(-promotion.COPY_MAX // PREFERRED_PART_SIZE)}"
    )
    assert (deployment.store.calls["copy"], deployment.store.calls["copy_part"]) == (1, 0)


async def test_promotion_continues_after_its_deadline(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the deadline a confirm returns the copied bytes, and the next confirm continues."""
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    copied = []
    while isinstance(outcome := await deployment.services.uploads.confirm(USER, staged.upload_id), Promoting):
        assert outcome.size == SIZE
        copied.append(outcome.copied)

    assert copied == [n * promotion.CONCURRENT_RANGES_PER_OBJECT * promotion.RANGE for n in range(1, len(copied) + 1)]
    assert len(copied) == -(-RANGES.count // promotion.CONCURRENT_RANGES_PER_OBJECT) - 1
    assert deployment.store.calls["copy_part"] == RANGES.count
    assert deployment.store.calls["create_multipart"] == 2


async def test_failed_range_is_copied_by_next_confirm(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next confirm copies a range that failed, and no other range twice."""
    copy_part, failed = deployment.store.copy_part, list[object]()

    async def fails_once(*arguments: Any, **options: Any) -> bool:
        if arguments[3] == 7 and not failed:
            failed.append(arguments)
            raise StorageUnavailableError("a range failed")
        return await copy_part(*arguments, **options)

    monkeypatch.setattr(deployment.store, "copy_part", fails_once)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(staged.upload_id)
    assert await deployment.confirm(staged.upload_id)
    assert deployment.store.calls["copy_part"] == RANGES.count


def replaced(deployment: Deployment, source: ObjectRef) -> None:
    """Replace the staged object by another version."""
    found, body = deployment.store.objects[source]
    moment = int(deployment.store._clock())
    deployment.store.objects[source] = (replace(found, etag="0" * 32, last_modified=moment), body)


async def test_range_copies_only_the_verified_version(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion whose staged object is replaced between two ranges is aborted (SEQ04)."""
    copy_part = deployment.store.copy_part

    async def changed(*arguments: Any, **options: Any) -> bool:
        if arguments[3] == 7:
            replaced(deployment, arguments[0])
        return await copy_part(*arguments, **options)

    monkeypatch.setattr(deployment.store, "copy_part", changed)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(staged.upload_id)
    assert ready(staged) not in deployment.store.objects
    assert deployment.store.multiparts == {}


async def test_version_changed_after_last_range_is_refused(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion is not completed if the staged object changed after the last range (SEQ04)."""
    copy_part = deployment.store.copy_part

    async def changed(*arguments: Any, **options: Any) -> bool:
        done = await copy_part(*arguments, **options)
        if arguments[3] == RANGES.count:
            replaced(deployment, arguments[0])
        return done or True

    monkeypatch.setattr(deployment.store, "copy_part", changed)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(staged.upload_id)
    assert ready(staged) not in deployment.store.objects
    assert deployment.store.multiparts == {}


async def test_promotion_of_earlier_version_is_restarted(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion of an earlier version is aborted, and a new one copies all ranges (SEQ04)."""
    with monkeypatch.context() as patched:
        patched.setattr(promotion, "DEADLINE", 0)
        assert isinstance(await deployment.services.uploads.confirm(USER, staged.upload_id), Promoting)
    (first,) = deployment.store.multiparts
    source = ObjectRef("songs", f"incoming/{staged.upload.uuid}.mp3")
    replaced(deployment, source)
    await deployment.confirm(staged.upload_id)

    assert deployment.store.calls["create_multipart"] == 3
    assert first not in deployment.store.multiparts
    assert deployment.store.calls["copy_part"] == promotion.CONCURRENT_RANGES_PER_OBJECT + RANGES.count


async def test_abort_ends_an_open_promotion(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abort of an upload aborts its open promotion and leaves a tombstone."""
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    await deployment.services.uploads.confirm(USER, staged.upload_id)
    assert deployment.store.multiparts

    await deployment.services.uploads.abort(USER, staged.upload_id)

    assert deployment.store.multiparts == {}
    assert [is_tombstone(stored) for stored, _ in deployment.store.objects.values()] == [True]


@pytest.mark.parametrize("verb", ["copy_part", "complete_multipart"])
async def test_abort_during_promotion_wins(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """An abort before a range, or between the last read of the source and the completion, wins (SEQ09)."""
    original = getattr(deployment.store, verb)

    async def aborted(ref: ObjectRef, *arguments: Any, **options: Any) -> bool:
        if verb == "copy_part" or ref == ready(staged):
            await deployment.services.uploads.abort(USER, staged.upload_id)
        return bool(await original(ref, *arguments, **options))

    monkeypatch.setattr(deployment.store, verb, aborted)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(staged.upload_id)
    assert [is_tombstone(stored) for stored, _ in deployment.store.objects.values()] == [True]


async def test_completion_after_deletion_is_removed(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that a completion makes after the deletion is removed by its confirm (SEQ09)."""
    complete = deployment.store.complete_multipart

    async def late(ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        if ref == ready(staged):
            kept = deployment.store.multiparts[s3_upload_id]
            await deployment.services.uploads.abort(USER, staged.upload_id)
            deployment.store.multiparts[s3_upload_id] = kept
        return await complete(ref, s3_upload_id, parts)

    monkeypatch.setattr(deployment.store, "complete_multipart", late)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(staged.upload_id)
    assert ready(staged) not in deployment.store.objects


@pytest.mark.parametrize("after", [1, 2], ids=["when it is resumed", "when it is complete"])
async def test_promotion_completed_elsewhere_is_confirmed(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """A promotion that another process completes at the same time is confirmed."""
    list_parts, seen = deployment.store.list_parts, list[str]()

    async def raced(ref: ObjectRef, s3_upload_id: str) -> object:
        if ref == ready(staged):
            seen.append(s3_upload_id)
            if len(seen) == after:
                upload = deployment.store.multiparts.pop(s3_upload_id)
                deployment.store._make(ref, upload.headers, MP3, SIZE, "a" * 32 + "-21")
        return await list_parts(ref, s3_upload_id)

    monkeypatch.setattr(deployment.store, "list_parts", raced)
    assert (await deployment.confirm(staged.upload_id)).track.etag == "a" * 32 + "-21"


async def test_largest_object_has_at_most_10000_ranges() -> None:
    """The largest object has at most 10 000 ranges, and smaller objects have ranges of the preferred size."""
    assert plan(OBJECT_MAX, promotion.RANGE).count <= 10_000
    assert plan(5 * GIB, promotion.RANGE).part_size == promotion.RANGE


class Copying:
    """Copies of ranges that wait for the test; ``most`` is the highest number in flight."""

    def __init__(self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        self.in_flight = self.most = 0
        self.may_end = asyncio.Event()
        self._copy = deployment.store.copy_part
        monkeypatch.setattr(deployment.store, "copy_part", self._copy_part)

    async def _copy_part(self, *arguments: Any, **options: Any) -> bool:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await self.may_end.wait()
        self.in_flight -= 1
        return await self._copy(*arguments, **options)


@pytest.fixture
def copying(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Copying:
    """Return the copies of this deployment's store."""
    return Copying(deployment, monkeypatch)


async def test_ranges_of_all_promotions_share_slots(
    deployment: Deployment, copying: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ranges of all promotions share a bounded number of slots, and waiting promotions do not fail."""
    monkeypatch.setattr(promotion, "DEADLINE", 0.2)
    uploads = deployment.services.uploads
    staged = [await upload(deployment, SIZE) for _ in range(5)]
    confirms = [asyncio.create_task(uploads.confirm(SERVICE, each.upload_id)) for each in staged]
    await becomes(lambda: any(confirm.done() for confirm in confirms))
    assert copying.most == promotion.CONCURRENT_RANGES
    copying.may_end.set()
    outcomes = await asyncio.gather(*confirms)
    assert {type(outcome) for outcome in outcomes} == {Promoting}
    monkeypatch.setattr(promotion, "DEADLINE", 60)
    assert {type(await uploads.confirm(SERVICE, each.upload_id)) for each in staged} == {ConfirmedUpload}


async def test_one_user_has_a_quarter_of_slots(deployment: Deployment, copying: Copying) -> None:
    """Ten promotions of one user leave slots for another user's promotion."""
    uploads = deployment.services.uploads
    tasks = []
    for principal in (*(USER,) * 10, OTHER):
        CALLER.set(principal.subject)
        created = await upload(deployment, SIZE, principal)
        tasks.append(asyncio.create_task(uploads.confirm(principal, created.upload_id)))
    await becomes(lambda: copying.in_flight == promotion.CONCURRENT_RANGES // 2)
    copying.may_end.set()
    assert {type(outcome) for outcome in await asyncio.gather(*tasks)} == {ConfirmedUpload}
    assert copying.most == promotion.CONCURRENT_RANGES // 2
