"""The contract of ``broker/store/port.py``, sentence by sentence, for every store."""

import asyncio
import base64
import gzip
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from broker.core.model import CopiedObject, ListedObject, ObjectRef, Part, StoredObject
from broker.core.tombstone import HEADERS, is_tombstone
from broker.errors import MalformedRequestError, StorageUnavailableError
from broker.store.clock_skew import SKEW_REPORTED
from broker.store.port import ObjectPage, ObjectStore, Payload
from broker.store.timeouts import DEFAULT_TIMEOUTS
from tests.patience import SLACK
from tests.store.calls import payload
from tests.stores.place import BUCKET, new_ref

from .subjects import (
    CHECKS_THE_COPY_SOURCE,
    KEEPS_THE_COPY_TARGET,
    KNOWS_A_GONE_MULTIPART,
    LISTS_PARTS,
    RETURNS_CHECKSUMS,
    STORES_ENCODINGS,
    VERIFIES_SIGNATURES,
    Real,
    Subject,
    does,
)

BODY = b"ID3\x04" + bytes(range(256)) * 8
ETAG = hashlib.md5(BODY).hexdigest()
METADATA = {"owner": "user%2F1%20%C3%A9", "filename": "My%20s%C3%B6ng.mp3"}
READY_HEADERS = {
    "content-type": "audio/ogg",
    "cache-control": "private, max-age=31536000, immutable",
    "x-amz-meta-owner": "another%20owner",
}
NOWHERE = "no-such-bucket"

CALLS: dict[str, Callable[[ObjectStore, ObjectRef], Awaitable[Any]]] = {
    "head": lambda store, ref: store.head(ref),
    "first_bytes": lambda store, ref: store.first_bytes(ref, 4),
    "more_bytes": lambda store, ref: store.more_bytes(ref, 4, 4, if_match=ETAG),
    "copy": lambda store, ref: store.copy(ref, new_ref(), if_match=ETAG, headers=READY_HEADERS),
    "put_empty": lambda store, ref: store.put_empty(ref, headers=READY_HEADERS),
    "delete": lambda store, ref: store.delete(ref),
    "delete_many": lambda store, ref: store.delete_many(ref.bucket, [ref.key]),
    "create_multipart": lambda store, ref: store.create_multipart(ref, headers={"content-type": "audio/mpeg"}),
    "open_multiparts": lambda store, ref: store.open_multiparts(ref.bucket, ref.key),
    "list_parts": lambda store, ref: store.list_parts(ref, "an-upload-id"),
    "copy_part": lambda store, ref: store.copy_part(ref, ref, "an-upload-id", 1, if_match=ETAG, first_byte=0, size=1),
    "complete_multipart": lambda store, ref: store.complete_multipart(ref, "an-upload-id", [Part(1, 1, ETAG)]),
    "abort_multipart": lambda store, ref: store.abort_multipart(ref, "an-upload-id"),
    "send_object": lambda store, ref: store.send_object(ref, payload(BODY), headers=READY_HEADERS),
    "send_part": lambda store, ref: store.send_part(ref, "an-upload-id", 1, payload(BODY)),
    "list_objects": lambda store, ref: store.list_objects(ref.bucket, ref.key),
    "ping": lambda store, ref: store.ping(ref.bucket),
}

INTO_A_GONE_MULTIPART = (CALLS["copy_part"],)

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


def put(subject: Subject, ref: ObjectRef | None = None, body: bytes = BODY) -> ObjectRef:
    """Store an object."""
    ref = ref or new_ref()
    subject.put(ref, body, content_type="audio/mpeg", metadata=METADATA)
    return ref


async def head(subject: Subject, ref: ObjectRef) -> StoredObject:
    """Return an object that exists, as of HeadObject."""
    found = await subject.store.head(ref)
    assert found
    return found


@asynccontextmanager
async def closed_at_the_end(store: ObjectStore) -> AsyncIterator[ObjectStore]:
    """Close the store at the end of the test."""
    yield store
    await store.close()


async def test_head_describes_the_object(subject: Subject) -> None:
    """HeadObject returns size, type, ETag, time and metadata."""
    before = int(time.time())

    found = await head(subject, put(subject))

    assert found == StoredObject(len(BODY), "audio/mpeg", ETAG, found.last_modified, METADATA)
    assert before - 1 <= found.last_modified <= time.time() + 1


async def test_head_of_a_missing_object_is_none(subject: Subject) -> None:
    """HeadObject of a missing object returns None."""
    assert await subject.store.head(new_ref()) is None


async def test_keys_are_encoded(subject: Subject) -> None:
    """An object whose key needs encoding is found."""
    ref = put(subject, ObjectRef(BUCKET, f"{new_ref().key} a+b&c=d%20~é.mp3"))

    assert (await head(subject, ref)).size == len(BODY)


async def test_a_place_changes_no_result(subject: Subject) -> None:
    """Calls in a place have the same results as other calls."""
    ref = put(subject)
    async with subject.store.reserve():
        assert await subject.store.first_bytes(ref, 4) == (await head(subject, ref), BODY[:4])


async def test_a_local_store_has_no_skew(subject: Subject) -> None:
    """The clock of a store on the same machine does not differ; without dates it is unknown."""
    await subject.store.head(new_ref())
    assert abs(subject.store.clock_skew or 0) < SKEW_REPORTED


async def test_the_etag_is_the_md5(subject: Subject) -> None:
    """The ETag of an object of several chunks is its MD5."""
    body = BODY * 5000  # 10 MB

    found = await head(subject, put(subject, body=body))

    assert (len(body), hashlib.md5(body).hexdigest()) == (found.size, found.etag)


@pytest.mark.parametrize("count", [1, 64, len(BODY) - 1, len(BODY), len(BODY) + 1])
async def test_first_bytes_describe_the_object(subject: Subject, count: int) -> None:
    """The result has the facts of HeadObject and as many bytes as there are."""
    ref = put(subject)

    found = await head(subject, ref)

    assert found == StoredObject(len(BODY), "audio/mpeg", ETAG, found.last_modified, METADATA)
    assert await subject.store.first_bytes(ref, count) == (found, BODY[:count])


async def test_first_bytes_have_the_whole_size(subject: Subject) -> None:
    """The first bytes of an object of several chunks come with its whole size."""
    ref = put(subject, body=BODY * 5000)  # 10 MB

    assert await subject.store.first_bytes(ref, 512) == (await head(subject, ref), BODY[:512])


async def test_more_bytes_are_those_of_the_version(subject: Subject) -> None:
    """Bytes from an offset are those of the version with the given ETag, up to the end of the object."""
    ref = put(subject)

    assert await subject.store.more_bytes(ref, 100, 64, if_match=ETAG) == BODY[100:164]
    assert await subject.store.more_bytes(ref, len(BODY) - 5, 64, if_match=ETAG) == BODY[-5:]


async def test_more_bytes_of_another_version_are_none(subject: Subject) -> None:
    """Bytes of a replaced or a missing object are None."""
    assert await subject.store.more_bytes(put(subject, body=BODY + b"x"), 100, 64, if_match=ETAG) is None
    assert await subject.store.more_bytes(new_ref(), 100, 64, if_match=ETAG) is None


async def test_first_bytes_of_an_empty_object(subject: Subject) -> None:
    """The result for an empty object has the facts of HeadObject and no bytes."""
    ref = put(subject, body=b"")

    assert await subject.store.first_bytes(ref, 64) == (await head(subject, ref), b"")


async def test_first_bytes_of_a_missing_object(subject: Subject) -> None:
    """The result for a missing object is None."""
    assert await subject.store.first_bytes(new_ref(), 64) is None


async def test_a_copy_has_bytes_and_new_headers(subject: Subject) -> None:
    """A copy has the bytes and the ETag of its source, and the new headers."""
    source, target = put(subject), new_ref("media")

    copied = await subject.store.copy(source, target, if_match=ETAG, headers=READY_HEADERS)

    found = await head(subject, target)
    assert copied == CopiedObject(found.etag, found.last_modified)
    assert found == StoredObject(len(BODY), "audio/ogg", ETAG, found.last_modified, {"owner": "another%20owner"})
    assert await subject.store.first_bytes(target, len(BODY)) == (found, BODY)


async def test_a_large_copy_has_the_same_etag(subject: Subject) -> None:
    """A copy of several chunks has the ETag of its source."""
    source, target = put(subject, body=BODY * 5000), new_ref("media")
    etag = (await head(subject, source)).etag

    copied = await subject.store.copy(source, target, if_match=etag, headers=READY_HEADERS)

    assert copied
    assert copied.etag == etag == (await head(subject, target)).etag


async def test_a_copy_does_not_change_its_source(subject: Subject) -> None:
    """A copy does not change its source."""
    source = put(subject)
    before = await head(subject, source)

    await subject.store.copy(source, new_ref("media"), if_match=ETAG, headers=READY_HEADERS)

    assert await head(subject, source) == before


async def test_source_keys_are_encoded(subject: Subject) -> None:
    """A source whose key needs encoding is copied."""
    source = put(subject, ObjectRef(BUCKET, f"{new_ref().key} a+b&c=d%20~é.mp3"))

    assert await subject.store.copy(source, new_ref("media"), if_match=ETAG, headers=READY_HEADERS)


async def test_another_version_is_not_copied(subject: Subject) -> None:
    """CopyObject returns None if the ETag of the source is another one."""
    source, target = put(subject), new_ref("media")

    copied = await subject.store.copy(source, target, if_match="0" * 32, headers=READY_HEADERS)

    assert (copied is None) is does(subject, CHECKS_THE_COPY_SOURCE)
    assert (await subject.store.head(target) is None) is does(subject, CHECKS_THE_COPY_SOURCE)


async def test_a_copy_of_a_missing_object_is_none(subject: Subject) -> None:
    """CopyObject of a missing source returns None."""
    assert await subject.store.copy(new_ref(), new_ref("media"), if_match=ETAG, headers=READY_HEADERS) is None


async def test_a_copy_never_replaces_an_object(subject: Subject) -> None:
    """CopyObject onto an existing object returns None if the store can refuse to replace it."""
    source, target = put(subject), new_ref("media")
    await subject.store.copy(source, target, if_match=ETAG, headers=READY_HEADERS)

    again = await subject.store.copy(source, target, if_match=ETAG, headers={**READY_HEADERS, "x-amz-meta-again": "1"})

    assert (again is None) is does(subject, KEEPS_THE_COPY_TARGET)
    assert ("again" not in (await head(subject, target)).metadata) is does(subject, KEEPS_THE_COPY_TARGET)


async def test_put_empty_replaces_an_object(subject: Subject) -> None:
    """PutObject of an empty object replaces an existing object."""
    ref = put(subject)

    await subject.store.put_empty(ref, headers=HEADERS)

    found = await head(subject, ref)
    assert (found.size, found.metadata) == (0, {"broker-state": "deleted"})
    assert is_tombstone(found)
    assert await subject.store.first_bytes(ref, 64) == (found, b"")


@pytest.mark.parametrize("is_repeatable", [True, False])
@pytest.mark.parametrize("pieces", [(BODY,), (b"", BODY[:1], BODY[1:2000], BODY[2000:]), (b"x" * 2**20,) * 3])
async def test_a_streamed_object_is_stored(subject: Subject, pieces: tuple[bytes, ...], is_repeatable: bool) -> None:
    """PutObject with a streamed body stores it with its metadata, and replaces an existing object."""
    ref, body = put(subject), b"".join(pieces)

    await subject.store.send_object(ref, payload(*pieces, is_repeatable=is_repeatable), headers=READY_HEADERS)

    found = await subject.store.first_bytes(ref, len(body))
    assert found
    assert found.first_bytes == body
    assert (found.stored.content_type, found.stored.metadata) == ("audio/ogg", {"owner": "another%20owner"})


@pytest.mark.parametrize("verb", ["send_object", "send_part"])
@pytest.mark.parametrize("pieces", [(), (BODY[:9],)])
async def test_an_unfinished_object_does_not_exist(subject: Subject, pieces: tuple[bytes, ...], verb: str) -> None:
    """A body that fails before its end leaves no object and no part, and its error is raised."""
    ref = new_ref()
    s3_upload_id = await subject.store.create_multipart(ref, headers=READY_HEADERS)

    async def failing() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece
        raise MalformedRequestError("the client went away")

    store, broken = subject.store, Payload(len(BODY), failing)
    sends: dict[str, Callable[[], Awaitable[object]]] = {
        "send_object": lambda: store.send_object(ref, broken, headers=READY_HEADERS),
        "send_part": lambda: store.send_part(ref, s3_upload_id, 1, broken),
    }
    with pytest.raises(MalformedRequestError):
        await sends[verb]()
    await asyncio.sleep(0.05 if isinstance(subject, Real) else 0)  # until the store has seen the end
    assert await subject.store.head(ref) is None
    if does(subject, LISTS_PARTS):
        parts = await subject.store.list_parts(ref, s3_upload_id)
        assert not any(part.size for part in parts or ())  # SeaweedFS lists a part without bytes


async def test_a_stored_sha256_is_returned(subject: Subject) -> None:
    """The SHA-256 with which an object was stored is returned."""
    ref = new_ref()
    digest = hashlib.sha256(BODY).digest()
    checksum = {"x-amz-checksum-sha256": base64.b64encode(digest).decode()}
    subject.put(ref, BODY, content_type="audio/mpeg", metadata={}, fields=checksum)

    found = await subject.store.first_bytes(ref, 4, checksum=True)

    assert found
    assert found.stored.sha256 == (digest if does(subject, RETURNS_CHECKSUMS) else None)
    assert (found.stored.size, found.first_bytes) == (len(BODY), BODY[:4])


async def test_a_checksum_of_a_missing_object(subject: Subject) -> None:
    """The result with a checksum for a missing object is None."""
    assert await subject.store.first_bytes(new_ref(), 4, checksum=True) is None


async def test_a_content_encoding_is_returned(subject: Subject) -> None:
    """E09: an object with a Content-Encoding is found, with its encoding."""
    ref = new_ref()
    body = gzip.compress(BODY)
    subject.put(ref, body, content_type="audio/mpeg", metadata={}, fields={"Content-Encoding": "gzip"})

    found = await subject.store.first_bytes(ref, 4)

    assert found
    assert found.stored.content_encoding == ("gzip" if does(subject, STORES_ENCODINGS) else "")


async def test_delete_removes_the_object(subject: Subject) -> None:
    """A deleted object does not exist any more."""
    ref = put(subject)

    await subject.store.delete(ref)

    assert await subject.store.head(ref) is None


async def test_delete_of_a_missing_object_succeeds(subject: Subject) -> None:
    """To delete a missing object succeeds."""
    await subject.store.delete(new_ref())


async def test_delete_many_removes_objects(subject: Subject) -> None:
    """DeleteObjects deletes the existing keys and succeeds for the others."""
    there = [put(subject), put(subject, ObjectRef(BUCKET, f"{new_ref().key}&<b>'\".mp3"))]
    missing = new_ref()

    failed = await subject.store.delete_many(BUCKET, [ref.key for ref in (*there, missing)])

    assert failed == {}
    assert [await subject.store.head(ref) for ref in there] == [None, None]


async def test_delete_many_takes_a_thousand_keys(subject: Subject) -> None:
    """DeleteObjects accepts a thousand keys."""
    ref = put(subject)

    failed = await subject.store.delete_many(BUCKET, [*(new_ref().key for _ in range(999)), ref.key])

    assert failed == {}
    assert await subject.store.head(ref) is None


async def test_delete_many_without_keys(subject: Subject) -> None:
    """DeleteObjects without keys does nothing."""
    assert await subject.store.delete_many(BUCKET, []) == {}


async def test_objects_are_listed_in_order(subject: Subject) -> None:
    """ListObjectsV2 returns key, size and date of the objects with the prefix, in the order of their keys."""
    prefix = new_ref().key.removesuffix("mp3")
    keys = [prefix + end for end in ("mp3", "M P+3&<'", "é", "%41", "mp3x")]
    refs = [put(subject, ObjectRef(BUCKET, key)) for key in keys]
    put(subject)

    found = await subject.store.list_objects(BUCKET, prefix)

    dates = {ref.key: (await head(subject, ref)).last_modified for ref in refs}
    assert found == ObjectPage([ListedObject(key, len(BODY), dates[key]) for key in sorted(keys)], None)


@pytest.mark.parametrize("subject", [pytest.param("seaweedfs", marks=pytest.mark.stores), "memory"], indirect=True)
async def test_all_pages_of_objects_are_listed(subject: Subject) -> None:
    """More objects than one page has are all listed, each once."""
    refs = [ObjectRef(BUCKET, f"pages-{new_ref().key}") for _ in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda ref: put(subject, ref, b"x"), refs))

    first = await subject.store.list_objects(BUCKET, "pages-")
    second = await subject.store.list_objects(BUCKET, "pages-", page=first.following)

    assert [len(first.objects), len(second.objects), second.following] == [1000, 1, None]
    assert [found.key for found in first.objects + second.objects] == sorted(ref.key for ref in refs)


async def test_ping_of_the_bucket_returns(subject: Subject) -> None:
    """A ping of an existing bucket succeeds."""
    await subject.store.ping(BUCKET)


# A HEAD's 404 does not say what of; SeaweedFS looks for the multipart upload before the bucket of a part's source, and
# checks If-Match before the bucket.
@pytest.mark.parametrize("verb", [verb for verb in CALLS if verb not in ("head", "copy_part", "more_bytes")])
async def test_a_missing_bucket_is_an_error(subject: Subject, verb: str) -> None:
    """Every operation on a missing bucket is an error, except for those with a reason above."""
    with pytest.raises(StorageUnavailableError):
        await CALLS[verb](subject.store, ObjectRef(NOWHERE, "key"))


async def test_a_copy_into_a_missing_bucket(subject: Subject) -> None:
    """A copy into a missing bucket is an error."""
    source = put(subject)

    with pytest.raises(StorageUnavailableError):
        await subject.store.copy(source, ObjectRef(NOWHERE, "key"), if_match=ETAG, headers=READY_HEADERS)


@every_call
async def test_a_refused_signature_is_an_error(
    subject: Subject, call: Callable[[ObjectStore, ObjectRef], Awaitable[Any]]
) -> None:
    """A request whose signature the store refuses is an error."""
    ref = put(subject)
    async with closed_at_the_end(subject.with_wrong_secret()) as stranger:
        fails_anyway = call in INTO_A_GONE_MULTIPART and not does(subject, KNOWS_A_GONE_MULTIPART)
        if does(subject, VERIFIES_SIGNATURES) or fails_anyway:
            with pytest.raises(StorageUnavailableError):
                await call(stranger, ref)
            assert (await head(subject, ref)).etag == ETAG
        elif call is not CALLS["send_part"]:  # whose multipart upload does not exist
            await call(stranger, ref)


@every_call
async def test_an_unreachable_store_is_an_error(
    subject: Subject, call: Callable[[ObjectStore, ObjectRef], Awaitable[Any]]
) -> None:
    """A call to an unreachable store is an error within its deadline."""
    began = time.monotonic()
    async with closed_at_the_end(subject.out_of_reach()) as nobody:
        with pytest.raises(StorageUnavailableError):
            await call(nobody, new_ref())
    assert time.monotonic() - began < DEFAULT_TIMEOUTS.total + SLACK
