"""The promotion of what is too large for one copy: in ranges, with a deadline, resumed, given up."""

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
    """A deployment that takes the largest files there are."""
    return Deployment({"UPLOAD_MAX_BYTES": str(OBJECT_MAX)})


@pytest.fixture
async def staged(deployment: Deployment) -> CreatedUpload:
    """An upload whose parts are all there."""
    return await upload(deployment, SIZE)


async def upload(deployment: Deployment, size: int, principal: Principal = USER) -> CreatedUpload:
    """An upload of ``size`` bytes that are nearly all left out, ready to be confirmed."""
    created = await deployment.create(structs.replace(DECLARED, size=size), principal)
    assert created.upload.multipart
    parts = plan(size)
    for number in parts.numbers():
        body = MP3 if number == 1 else b""
        deployment.store.put_part(created.upload.multipart.s3_upload_id, number, body, size=parts.size_of(number))
    return created


def ready(created: CreatedUpload) -> ObjectRef:
    """Where it is promoted to."""
    return ObjectRef("songs", f"media/{created.upload.uuid}.mp3")


async def test_it_is_copied_in_equal_ranges_with_its_own_headers(deployment: Deployment, staged: CreatedUpload) -> None:
    confirmed = await deployment.confirm(staged.upload_id)

    found = deployment.store.objects[ready(staged)][0]
    assert (found.size, found.content_type, found.etag) == (SIZE, "audio/mpeg", confirmed.track.etag)
    assert found.metadata == {"owner": "user-1", "filename": "song.mp3"}
    assert confirmed.track.etag.endswith(f"-{RANGES.count}")
    assert deployment.store.calls["copy_part"] == RANGES.count
    assert deployment.store.calls["copy"] == 0
    assert deployment.store.multiparts == {}


async def test_what_one_copy_may_carry_is_copied_at_once(deployment: Deployment) -> None:
    created = await upload(deployment, promotion.COPY_MAX)
    assert (await deployment.confirm(created.upload_id)).track.etag.endswith(
        f"-{-(-promotion.COPY_MAX // PREFERRED_PART_SIZE)}"
    )
    assert (deployment.store.calls["copy"], deployment.store.calls["copy_part"]) == (1, 0)


async def test_past_its_deadline_it_says_how_far_it_is_and_goes_on_when_asked_again(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    copied = []
    while isinstance(outcome := await deployment.services.uploads.confirm(USER, staged.upload_id), Promoting):
        assert outcome.size == SIZE
        copied.append(outcome.copied)

    assert copied == [n * promotion.CONCURRENCY * promotion.RANGE for n in range(1, len(copied) + 1)]
    assert len(copied) == -(-RANGES.count // promotion.CONCURRENCY) - 1
    assert deployment.store.calls["copy_part"] == RANGES.count
    assert deployment.store.calls["create_multipart"] == 2


async def test_a_failed_range_is_copied_by_the_next_confirm(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    """Another version in the place of the staged object."""
    found, body = deployment.store.objects[source]
    moment = int(deployment.store._clock())
    deployment.store.objects[source] = (replace(found, etag="0" * 32, last_modified=moment), body)


async def test_every_range_has_the_checked_version_as_its_condition(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEQ04: the staged object is replaced while its ranges are copied."""
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


async def test_a_version_that_changes_behind_the_last_range_is_not_completed(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEQ04, at a store that ignores the condition of a range."""
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


async def test_a_promotion_of_an_earlier_version_is_begun_anew(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEQ04: confirm, 202, the staged object is replaced, confirm."""
    with monkeypatch.context() as patched:
        patched.setattr(promotion, "DEADLINE", 0)
        assert isinstance(await deployment.services.uploads.confirm(USER, staged.upload_id), Promoting)
    (begun,) = deployment.store.multiparts
    source = ObjectRef("songs", f"incoming/{staged.upload.uuid}.mp3")
    replaced(deployment, source)
    await deployment.confirm(staged.upload_id)

    assert deployment.store.calls["create_multipart"] == 3
    assert begun not in deployment.store.multiparts
    assert deployment.store.calls["copy_part"] == promotion.CONCURRENCY + RANGES.count


async def test_an_abort_aborts_a_promotion_under_way(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    await deployment.services.uploads.confirm(USER, staged.upload_id)
    assert deployment.store.multiparts

    await deployment.services.uploads.abort(USER, staged.upload_id)

    assert deployment.store.multiparts == {}
    assert [is_tombstone(stored) for stored, _ in deployment.store.objects.values()] == [True]


@pytest.mark.parametrize("verb", ["copy_part", "complete_multipart"])
async def test_an_abort_in_the_middle_of_a_promotion_wins(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """SEQ09: before a range, or between the last look at the source and the completion."""
    original = getattr(deployment.store, verb)

    async def aborted(ref: ObjectRef, *arguments: Any, **options: Any) -> bool:
        if verb == "copy_part" or ref == ready(staged):
            await deployment.services.uploads.abort(USER, staged.upload_id)
        return bool(await original(ref, *arguments, **options))

    monkeypatch.setattr(deployment.store, verb, aborted)
    with pytest.raises(UploadDeletedError):
        await deployment.confirm(staged.upload_id)
    assert [is_tombstone(stored) for stored, _ in deployment.store.objects.values()] == [True]


async def test_a_promotion_that_completes_behind_a_deletion_removes_what_it_made(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEQ09: the store carries out the completion after the deletion has removed everything."""
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
async def test_a_promotion_that_another_process_completes_is_confirmed(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Its multipart upload is gone under our hands, and the object is there."""
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


async def test_the_largest_object_needs_no_more_than_ten_thousand_ranges() -> None:
    assert plan(OBJECT_MAX, promotion.RANGE).count <= 10_000
    assert plan(5 * GIB, promotion.RANGE).part_size == promotion.RANGE


class Copying:
    """Copies of ranges that end when the test lets them; ``most`` is how many were under way at once."""

    def __init__(self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        self.under_way = self.most = 0
        self.may_end = asyncio.Event()
        self._copy = deployment.store.copy_part
        monkeypatch.setattr(deployment.store, "copy_part", self._copy_part)

    async def _copy_part(self, *arguments: Any, **options: Any) -> bool:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.may_end.wait()
        self.under_way -= 1
        return await self._copy(*arguments, **options)


@pytest.fixture
def copying(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Copying:
    """Of this deployment's store."""
    return Copying(deployment, monkeypatch)


async def test_the_ranges_of_all_promotions_have_few_turns(
    deployment: Deployment, copying: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that get none until the deadline answer how far they are, and none fails."""
    monkeypatch.setattr(promotion, "DEADLINE", 0.2)
    uploads = deployment.services.uploads
    staged = [await upload(deployment, SIZE) for _ in range(5)]
    confirms = [asyncio.create_task(uploads.confirm(SERVICE, each.upload_id)) for each in staged]
    await becomes(lambda: any(confirm.done() for confirm in confirms))
    assert copying.most == promotion.RANGES_AT_ONCE
    copying.may_end.set()
    outcomes = await asyncio.gather(*confirms)
    assert {type(outcome) for outcome in outcomes} == {Promoting}
    monkeypatch.setattr(promotion, "DEADLINE", 60)
    assert {type(await uploads.confirm(SERVICE, each.upload_id)) for each in staged} == {ConfirmedUpload}


async def test_one_user_has_a_quarter_of_the_turns(deployment: Deployment, copying: Copying) -> None:
    """Another user's promotion goes on beside ten of the first."""
    uploads = deployment.services.uploads
    tasks = []
    for principal in (*(USER,) * 10, OTHER):
        CALLER.set(principal.subject)
        created = await upload(deployment, SIZE, principal)
        tasks.append(asyncio.create_task(uploads.confirm(principal, created.upload_id)))
    await becomes(lambda: copying.under_way == promotion.RANGES_AT_ONCE // 2)
    copying.may_end.set()
    assert {type(outcome) for outcome in await asyncio.gather(*tasks)} == {ConfirmedUpload}
    assert copying.most == promotion.RANGES_AT_ONCE // 2
