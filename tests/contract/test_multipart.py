"""The contract of multipart operations, sentence by sentence, for every store."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker.core.limits import PART_MIN
from broker.core.model import ObjectRef, Part, StoredObject
from broker.core.parts import PartPlan, current
from broker.errors import StorageUnavailableError
from tests.store.calls import payload
from tests.stores.place import new_ref

from .subjects import (
    CHECKS_A_RANGES_SOURCE,
    COMPLETES_AGAIN,
    DATES_MULTIPARTS,
    KEEPS_ONE_PART_OF_A_NUMBER,
    KEEPS_THE_COMPLETION_TARGET,
    KNOWS_A_GONE_MULTIPART,
    LISTS_MULTIPARTS,
    LISTS_PARTS,
    Subject,
    does,
    params,
)

PLAN = PartPlan(2 * PART_MIN + 7, PART_MIN)
CONTENT = (b"ID3\x04" + bytes(range(251)) * PLAN.count * 20_000)[: PLAN.size - 7] + b"the end"
HEADERS = {"content-type": "audio/ogg", "x-amz-meta-owner": "an%20owner"}


def piece(number: int) -> bytes:
    """Return the bytes of one part of the plan."""
    first = PLAN.first_byte_of(number)
    return CONTENT[first : first + PLAN.size_of(number)]


def etag_of(parts: Sequence[bytes]) -> str:
    """Return the ETag that S3 gives an object in parts."""
    tags = b"".join(hashlib.md5(part).digest() for part in parts)
    return f"{hashlib.md5(tags).hexdigest()}-{len(parts)}"


WHOLE = etag_of([piece(1), piece(2), piece(3)])


async def begun(subject: Subject, ref: ObjectRef) -> str:
    """Create a multipart upload."""
    return await subject.store.create_multipart(ref, headers=HEADERS)


def sent(subject: Subject, ref: ObjectRef, s3_upload_id: str, *numbers: int) -> list[Part]:
    """Store these parts."""
    return [Part(n, PLAN.size_of(n), subject.put_part(ref, s3_upload_id, n, piece(n))) for n in numbers]


async def joined(subject: Subject, ref: ObjectRef) -> str:
    """Complete an object; return its S3 UploadId."""
    s3_upload_id = await begun(subject, ref)
    await subject.store.complete_multipart(ref, s3_upload_id, sent(subject, ref, s3_upload_id, 1, 2, 3))
    return s3_upload_id


async def test_parts_become_the_object(subject: Subject) -> None:
    """The parts of a plan are joined to the object that was cut."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    parts = sent(subject, ref, s3_upload_id, 3, 1, 2)

    assert await subject.store.complete_multipart(ref, s3_upload_id, sorted(parts, key=lambda part: part.number))

    found = await subject.store.head(ref)
    etag = etag_of([piece(1), piece(2), piece(3)])
    assert found
    assert found == StoredObject(PLAN.size, "audio/ogg", etag, found.last_modified, {"owner": "an%20owner"})
    assert await subject.store.first_bytes(ref, PLAN.size) == (found, CONTENT)


async def test_streamed_parts_become_the_object(subject: Subject) -> None:
    """Parts that are sent through the port are joined to the object."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    parts = [
        await subject.store.send_part(ref, s3_upload_id, number, payload(piece(number)[:7], piece(number)[7:]))
        for number in PLAN.numbers()
    ]

    assert await subject.store.complete_multipart(ref, s3_upload_id, parts)

    found = await subject.store.first_bytes(ref, PLAN.size)
    assert found
    assert found.first_bytes == CONTENT


async def test_parts_are_listed_in_order(subject: Subject) -> None:
    """ListParts returns number, size and ETag of each part in order."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    if not does(subject, LISTS_PARTS):
        with pytest.raises(StorageUnavailableError):
            await subject.store.list_parts(ref, s3_upload_id)
        return
    assert await subject.store.list_parts(ref, s3_upload_id) == []

    parts = sent(subject, ref, s3_upload_id, 3, 1)

    assert await subject.store.list_parts(ref, s3_upload_id) == sorted(parts, key=lambda part: part.number)


@pytest.mark.parametrize("subject", ["seaweedfs", "memory"], indirect=True)
async def test_all_pages_of_parts_are_listed(subject: Subject) -> None:
    """More parts than one page has are all listed."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    numbers = range(1, 2102)
    with ThreadPoolExecutor(8) as pool:
        etags = list(pool.map(lambda number: subject.put_part(ref, s3_upload_id, number, b"%d" % number), numbers))

    found = await subject.store.list_parts(ref, s3_upload_id)

    assert found == [Part(n, len(str(n)), etag) for n, etag in zip(numbers, etags, strict=True)]


@pytest.mark.parametrize("end", ["complete", "abort"])
async def test_an_ended_upload_is_not_open(subject: Subject, end: str) -> None:
    """A completed or aborted multipart upload has no parts and is not listed."""
    ref = new_ref()
    if end == "complete":
        s3_upload_id = await joined(subject, ref)
    else:
        s3_upload_id = await begun(subject, ref)
        sent(subject, ref, s3_upload_id, 1)
        await subject.store.abort_multipart(ref, s3_upload_id)

    if does(subject, LISTS_PARTS):
        assert await subject.store.list_parts(ref, s3_upload_id) is None
    if does(subject, LISTS_MULTIPARTS):
        assert await subject.store.open_multiparts(ref.bucket, ref.key) == []


async def test_completing_again_changes_nothing(subject: Subject) -> None:
    """A second completion does not change the object."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    parts = sent(subject, ref, s3_upload_id, 1, 2, 3)
    assert await subject.store.complete_multipart(ref, s3_upload_id, parts)
    before = await subject.store.head(ref)

    again = await subject.store.complete_multipart(ref, s3_upload_id, parts)

    assert again is does(subject, COMPLETES_AGAIN)
    after = await subject.store.head(ref)
    assert before
    assert after
    assert after.etag == before.etag


async def test_a_completion_never_replaces_an_object(subject: Subject) -> None:
    """A completion does not replace an object, such as a tombstone, if the store can refuse to."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    parts = sent(subject, ref, s3_upload_id, 1, 2, 3)
    await subject.store.put_empty(ref, headers=HEADERS)

    keeps = does(subject, KEEPS_THE_COMPLETION_TARGET)
    assert await subject.store.complete_multipart(ref, s3_upload_id, parts) is not keeps
    found = await subject.store.head(ref)
    assert found
    assert (found.size == 0) is keeps


async def test_an_aborted_upload_stays_aborted(subject: Subject) -> None:
    """An aborted multipart upload cannot be completed, and may be aborted again."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    parts = sent(subject, ref, s3_upload_id, 1, 2, 3)
    await subject.store.abort_multipart(ref, s3_upload_id)
    await subject.store.abort_multipart(ref, s3_upload_id)

    if does(subject, KNOWS_A_GONE_MULTIPART):
        assert not await subject.store.complete_multipart(ref, s3_upload_id, parts)
    else:
        with pytest.raises(StorageUnavailableError):
            await subject.store.complete_multipart(ref, s3_upload_id, parts)
    assert await subject.store.head(ref) is None


async def test_open_uploads_are_listed_by_age(subject: Subject) -> None:
    """Open multipart uploads with the prefix are listed, the oldest first."""
    ref = new_ref()
    if not does(subject, LISTS_MULTIPARTS):
        with pytest.raises(StorageUnavailableError):
            await subject.store.open_multiparts(ref.bucket, ref.key)
        return
    assert await subject.store.open_multiparts(ref.bucket, ref.key) == []
    began = int(time.time())
    longer = ObjectRef(ref.bucket, f"{ref.key}.more")
    opened = [(longer.key, await begun(subject, longer)), (ref.key, await begun(subject, ref))]
    await asyncio.sleep(1 - time.time() % 1)  # until the clock of a store that counts whole seconds has moved
    opened.append((ref.key, await begun(subject, ref)))

    found = await subject.store.open_multiparts(ref.bucket, ref.key)
    assert {(upload.key, upload.s3_upload_id) for upload in found} == set(opened)
    if does(subject, DATES_MULTIPARTS):
        assert (found[-1].key, found[-1].s3_upload_id) == opened[-1]
        assert all(began - 1 <= upload.initiated <= time.time() + 1 for upload in found)


@pytest.mark.parametrize("subject", ["seaweedfs", "memory"], indirect=True)
async def test_open_uploads_on_several_pages_are_all_listed(subject: Subject) -> None:
    """Open multipart uploads on several pages are all listed."""
    ref = new_ref()
    opened = {await begun(subject, ObjectRef(ref.bucket, f"{ref.key}.{number}")) for number in range(20)}

    assert {upload.s3_upload_id for upload in await subject.store.open_multiparts(ref.bucket, ref.key)} == opened


async def test_copied_parts_become_an_object(subject: Subject) -> None:
    """Copied ranges of another object are joined to a new object."""
    source, target = new_ref(), new_ref("media")
    await joined(subject, source)
    s3_upload_id = await begun(subject, target)
    for number in (2, 1, 3):
        first, size = PLAN.first_byte_of(number), PLAN.size_of(number)
        assert await subject.store.copy_part(
            source, target, s3_upload_id, number, if_match=WHOLE, first_byte=first, size=size
        )

    if not does(subject, LISTS_PARTS):  # and so nobody knows their ETags
        return
    parts = await subject.store.list_parts(target, s3_upload_id)
    assert parts
    assert [(part.number, part.size) for part in parts] == [(n, PLAN.size_of(n)) for n in PLAN.numbers()]
    assert await subject.store.complete_multipart(target, s3_upload_id, parts)

    found = await subject.store.head(target)
    assert found
    assert await subject.store.first_bytes(target, PLAN.size) == (found, CONTENT)
    assert (found.content_type, found.metadata) == ("audio/ogg", {"owner": "an%20owner"})


async def test_a_part_copy_needs_both_ends(subject: Subject) -> None:
    """A part is not copied if the source object or the multipart upload does not exist."""
    source, target = new_ref(), new_ref("media")
    await joined(subject, source)
    s3_upload_id, gone = await begun(subject, target), await begun(subject, target)
    await subject.store.abort_multipart(target, gone)

    for what, whither in ((new_ref(), s3_upload_id), (source, gone)):
        if does(subject, KNOWS_A_GONE_MULTIPART):
            assert not await copied_start(subject, what, target, whither)
        else:
            with pytest.raises(StorageUnavailableError):
                await copied_start(subject, what, target, whither)


async def copied_start(
    subject: Subject, source: ObjectRef, target: ObjectRef, s3_upload_id: str, etag: str = ""
) -> bool:
    """Whether the first bytes were copied."""
    return await subject.store.copy_part(
        source, target, s3_upload_id, 1, if_match=etag or WHOLE, first_byte=0, size=PART_MIN
    )


async def test_a_part_of_another_version_is_not_copied(subject: Subject) -> None:
    """A part is not copied if the ETag of the source is another one."""
    source, target = new_ref(), new_ref("media")
    await joined(subject, source)
    s3_upload_id = await begun(subject, target)

    checks = does(subject, CHECKS_A_RANGES_SOURCE)
    assert await copied_start(subject, source, target, s3_upload_id, "0" * 32) is not checks
    if does(subject, LISTS_PARTS):
        assert (await subject.store.list_parts(target, s3_upload_id) == []) is checks


@pytest.mark.parametrize("sizes", [(PART_MIN, PART_MIN + 1, 7), (PART_MIN, PART_MIN, PART_MIN + 1), (PART_MIN - 1, 7)])
@pytest.mark.parametrize("subject", params(["local_r2", "memory"]), indirect=True)
async def test_r2_refuses_unequal_parts(subject: Subject, sizes: tuple[int, ...]) -> None:
    """Parts that break R2's rules are refused at completion, so a plan fixes the part size and URLs sign lengths."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    parts = [
        Part(number, size, subject.put_part(ref, s3_upload_id, number, bytes(size)))
        for number, size in enumerate(sizes, 1)
    ]

    try:
        joined_to = await subject.store.complete_multipart(ref, s3_upload_id, parts)
    except StorageUnavailableError:
        joined_to = False
    assert not joined_to  # to unequal parts local R2 answers NoSuchUpload
    assert await subject.store.head(ref) is None


async def test_a_part_with_a_wrong_etag_is_refused(subject: Subject) -> None:
    """A completion with another ETag than that of the stored part fails."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    first, *others = sent(subject, ref, s3_upload_id, 1, 2, 3)

    with pytest.raises(StorageUnavailableError):
        await subject.store.complete_multipart(ref, s3_upload_id, [Part(1, first.size, "0" * 32), *others])
    assert await subject.store.head(ref) is None
    assert await subject.store.complete_multipart(ref, s3_upload_id, [first, *others])


async def test_a_missing_part_is_refused(subject: Subject) -> None:
    """A completion with a part that was never sent fails."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    first, second = sent(subject, ref, s3_upload_id, 1, 2)

    with pytest.raises(StorageUnavailableError):
        await subject.store.complete_multipart(ref, s3_upload_id, [first, second, Part(3, 7, first.etag)])
    assert await subject.store.head(ref) is None


async def test_the_last_bytes_of_a_part_count(subject: Subject) -> None:
    """If a part is sent twice, the object has the later bytes."""
    ref = new_ref()
    s3_upload_id = await begun(subject, ref)
    older = Part(1, 3, subject.put_part(ref, s3_upload_id, 1, b"one"))
    newer = Part(1, 7, subject.put_part(ref, s3_upload_id, 1, b"another"))
    keeps_one = does(subject, KEEPS_ONE_PART_OF_A_NUMBER)

    if does(subject, LISTS_PARTS):
        found = await subject.store.list_parts(ref, s3_upload_id)
        assert found is not None
        assert set(found) == ({newer} if keeps_one else {older, newer})
        assert current(PartPlan(7, PART_MIN), found) == [newer]
    if keeps_one:
        with pytest.raises(StorageUnavailableError):
            await subject.store.complete_multipart(ref, s3_upload_id, [older])
    assert await subject.store.complete_multipart(ref, s3_upload_id, [newer])
    beginning = await subject.store.first_bytes(ref, 9)
    assert beginning
    assert beginning.first_bytes == b"another"


@pytest.mark.parametrize("s3_upload_id", ["a b&c=d+e?#é", "%2F..%2F", "'\"<>", "x" * 1024, "0", "-"])
async def test_a_senseless_upload_id_is_unknown(subject: Subject, s3_upload_id: str) -> None:
    """An S3 UploadId of any characters is encoded, so it is unknown and reaches no other resource."""
    source, target = new_ref(), new_ref("media")
    subject.put(source, CONTENT[:7], content_type="audio/mpeg", metadata={})
    under_way = await begun(subject, target)
    (part,) = sent(subject, target, under_way, 3)

    if does(subject, LISTS_PARTS):
        assert await subject.store.list_parts(target, s3_upload_id) is None
    await subject.store.abort_multipart(target, s3_upload_id)
    if does(subject, KNOWS_A_GONE_MULTIPART):
        assert not await subject.store.copy_part(
            source, target, s3_upload_id, 1, if_match=hashlib.md5(CONTENT[:7]).hexdigest(), first_byte=0, size=7
        )
        assert not await subject.store.complete_multipart(target, s3_upload_id, [part])
    assert await subject.store.head(target) is None
    assert await subject.store.complete_multipart(target, under_way, [part])


async def test_an_upload_belongs_to_its_key(subject: Subject) -> None:
    """A multipart upload does not exist under another key."""
    if not does(subject, KNOWS_A_GONE_MULTIPART):
        return
    ref, other = new_ref(), new_ref()
    s3_upload_id = await begun(subject, ref)
    parts = sent(subject, ref, s3_upload_id, 1, 2, 3)

    if does(subject, LISTS_PARTS):
        assert await subject.store.list_parts(other, s3_upload_id) is None
    await subject.store.abort_multipart(other, s3_upload_id)
    assert not await subject.store.complete_multipart(other, s3_upload_id, parts)
    assert await subject.store.head(other) is None
    assert await subject.store.complete_multipart(ref, s3_upload_id, parts)


async def test_a_part_copy_needs_the_bucket(subject: Subject) -> None:
    """UploadPartCopy from a bucket that does not exist is an error."""
    target = new_ref("media")
    s3_upload_id = await begun(subject, target)

    with pytest.raises(StorageUnavailableError):
        await copied_start(subject, ObjectRef("no-such-bucket", "key"), target, s3_upload_id)


async def test_source_keys_of_parts_are_encoded(subject: Subject) -> None:
    """A part of a source whose key needs encoding is copied."""
    source, target = new_ref(), new_ref("media")
    source = ObjectRef(source.bucket, f"{source.key} a+b&c=d%20~é.mp3")
    body = b"ID3\x04 and more"
    subject.put(source, body, content_type="audio/mpeg", metadata={})

    s3_upload_id, etag = await begun(subject, target), hashlib.md5(body).hexdigest()
    assert await subject.store.copy_part(source, target, s3_upload_id, 1, if_match=etag, first_byte=4, size=9)
