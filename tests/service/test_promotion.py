"""The promotion of what is too large for one copy: in ranges, with a deadline, resumed, given up."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from broker.core.limits import GIB, OBJECT_MAX, PUT_MAX
from broker.core.model import ObjectRef
from broker.core.parts import PREFERRED, plan
from broker.errors import StorageUnavailableError
from broker.service import promotion
from broker.service.promotion import Promoting
from broker.service.uploads import CreatedUpload

from .deployment import DECLARED, MP3, USER, Deployment

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


async def upload(deployment: Deployment, size: int) -> CreatedUpload:
    """An upload of ``size`` bytes that are nearly all left out, ready to be confirmed."""
    created = await deployment.create(structs.replace(DECLARED, size=size))
    assert created.upload.multipart
    parts = plan(size)
    for number in parts.numbers():
        body = MP3 if number == 1 else b""
        deployment.store.put_part(created.upload.multipart.upload_id, number, body, size=parts.size_of(number))
    return created


def ready(created: CreatedUpload) -> ObjectRef:
    """Where it is promoted to."""
    return ObjectRef("songs", f"media/{created.upload.id}.mp3")


async def test_it_is_copied_in_equal_ranges_with_its_own_headers(deployment: Deployment, staged: CreatedUpload) -> None:
    confirmed = await deployment.confirm(staged.ticket)

    found = deployment.store.objects[ready(staged)][0]
    assert (found.size, found.content_type, found.etag) == (SIZE, "audio/mpeg", confirmed.track.etag)
    assert found.metadata == {"owner": "user-1", "filename": "song.mp3"}
    assert confirmed.track.etag.endswith(f"-{RANGES.count}")
    assert deployment.store.calls["copy_part"] == RANGES.count
    assert deployment.store.calls["copy"] == 0
    assert deployment.store.multiparts == {}


async def test_what_one_copy_may_carry_is_copied_at_once(deployment: Deployment) -> None:
    created = await upload(deployment, PUT_MAX)
    assert (await deployment.confirm(created.ticket)).track.etag.endswith(f"-{-(-PUT_MAX // PREFERRED)}")
    assert (deployment.store.calls["copy"], deployment.store.calls["copy_part"]) == (1, 0)


async def test_past_its_deadline_it_says_how_far_it_is_and_goes_on_when_asked_again(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    copied = []
    while isinstance(outcome := await deployment.services.uploads.confirm(USER, staged.ticket), Promoting):
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
        await deployment.confirm(staged.ticket)
    assert await deployment.confirm(staged.ticket)
    assert deployment.store.calls["copy_part"] == RANGES.count


async def test_a_staged_object_that_changes_meanwhile_is_not_promoted(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UploadPartCopy knows no condition on its source, so the ranges might be of two versions."""
    copy_part = deployment.store.copy_part

    async def changed(*arguments: Any, **options: Any) -> bool:
        source = arguments[0]
        assert isinstance(source, ObjectRef)
        found, body = deployment.store.objects[source]
        deployment.store.objects[source] = (replace(found, etag="0" * 32), body)
        return await copy_part(*arguments, **options)

    monkeypatch.setattr(deployment.store, "copy_part", changed)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(staged.ticket)
    assert ready(staged) not in deployment.store.objects
    assert deployment.store.multiparts == {}


async def test_giving_the_upload_up_gives_its_promotion_up(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    await deployment.services.uploads.confirm(USER, staged.ticket)
    assert deployment.store.multiparts

    await deployment.services.uploads.abort(USER, staged.ticket)

    assert deployment.store.multiparts == {}
    assert deployment.store.objects == {}


async def test_an_upload_given_up_in_the_middle_of_a_copy_is_not_confirmed(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_part = deployment.store.copy_part

    async def given_up(*arguments: Any, **options: Any) -> bool:
        await deployment.services.uploads.abort(USER, staged.ticket)
        return await copy_part(*arguments, **options)

    monkeypatch.setattr(deployment.store, "copy_part", given_up)
    with pytest.raises(StorageUnavailableError):
        await deployment.confirm(staged.ticket)
    assert deployment.store.objects == {}


@pytest.mark.parametrize("after", [1, 2], ids=["when it is resumed", "when it is complete"])
async def test_what_another_process_finishes_meanwhile_is_confirmed_or_asked_for_again(
    deployment: Deployment, staged: CreatedUpload, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Its multipart upload is gone under our hands, and the object is there."""
    list_parts, seen = deployment.store.list_parts, list[str]()

    async def raced(ref: ObjectRef, upload_id: str) -> object:
        if ref == ready(staged):
            seen.append(upload_id)
            if len(seen) == after:
                upload = deployment.store.multiparts.pop(upload_id)
                deployment.store._make(ref, upload.headers, MP3, SIZE, "a" * 32 + "-21")
        return await list_parts(ref, upload_id)

    monkeypatch.setattr(deployment.store, "list_parts", raced)
    if after == 1:
        with pytest.raises(StorageUnavailableError):
            await deployment.confirm(staged.ticket)
    assert (await deployment.confirm(staged.ticket)).track.etag == "a" * 32 + "-21"


async def test_the_largest_object_needs_no_more_than_ten_thousand_ranges() -> None:
    assert plan(OBJECT_MAX, promotion.RANGE).count <= 10_000
    assert plan(5 * GIB, promotion.RANGE).part_size == promotion.RANGE
