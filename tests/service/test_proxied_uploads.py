"""Files that pass through the broker: streamed in equal parts or from a buffer, and removed after every failure."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from broker.core.limits import MIB
from broker.core.model import ObjectRef, Part, Principal
from broker.errors import (
    BrokerError,
    ContentMismatchError,
    EmptyFileError,
    InvalidRequestError,
    MalformedRequestError,
    StorageUnavailableError,
    TooLargeError,
    UnsupportedTypeError,
)
from broker.service import proxied_uploads
from broker.service.piece_reader import PieceReader
from broker.service.proxied_uploads import BUFFERS, PLACES, ArrivingFile, StoredMedia
from broker.store.port import Payload
from broker.store.slots import CALLER
from tests.small_files import mp3

from .deployment import USER, Deployment

SLACK = 64 * 1024


async def in_pieces(content: bytes, size: int, error: Exception | None = None) -> AsyncGenerator[bytes]:
    """Yield a file in pieces; then raise ``error``."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
    if error:
        raise error


def arriving(
    content: bytes, *, known: bool = False, size: int = 100_000, error: Exception | None = None, **more: Any
) -> ArrivingFile:
    """Return a file that arrives; ``known`` gives the least size that the length of a form tells."""
    size_min = max(len(content) - SLACK, 0) if known else 0
    defaults: dict[str, Any] = {"field": "file", "filename": "song.mp3", "content_type": "audio/mpeg"}
    fields = {**defaults, **more, "size_min": size_min, "size_max": len(content) + 500}
    return ArrivingFile(**fields, pieces=in_pieces(content, size, error))


async def stored(
    deployment: Deployment, *files: ArrivingFile, alone: bool = True, principal: Principal = USER
) -> list[StoredMedia]:
    """Receive the files of one request."""
    async with deployment.services.proxied_uploads.receive(principal) as reception:
        for file in files:
            await reception.add(file, alone=alone)
        return await reception.finish()


def is_empty(deployment: Deployment) -> bool:
    """Return whether the store has nothing, and every place and buffer is free."""
    uploads = deployment.services.proxied_uploads
    free = (uploads.places._free._value, uploads.buffers._free._value)
    return not deployment.store.objects and not deployment.store.multiparts and free == (PLACES, BUFFERS)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [1000, 5 * MIB + SLACK - 1, 5 * MIB + SLACK, 8 * MIB, 21_000_001])
async def test_a_file_is_stored_unchanged(size: int, known: bool) -> None:
    """A file of any size is stored at its ready key with its owner and its name, and nothing else is stored."""
    deployment, content = Deployment(), mp3(size)
    (media,) = await stored(deployment, arriving(content, known=known, content_type="", filename="Ä.MP3"))
    ((ref, (found, body)),) = deployment.store.objects.items()
    assert hashlib.md5(body).digest() == hashlib.md5(content).digest()
    assert (media.key, media.size, media.media_type.name, media.url) == (ref.key, size, "audio/mpeg", None)
    assert ref == ObjectRef("songs", media.key)
    assert (found.content_type, found.metadata) == ("audio/mpeg", {"owner": "user-1", "filename": "%C3%84.MP3"})
    assert not deployment.store.multiparts


async def test_large_parts_are_equal_and_not_held() -> None:
    """The parts of a file whose least size is known are equal, and the rest is smaller than the slack of a form."""
    deployment, content = Deployment(), mp3(30_000_000)
    parts: list[tuple[int, bool]] = []
    send_part = deployment.store.send_part

    async def spy(ref: ObjectRef, s3_upload_id: str, number: int, payload: Payload) -> Part:
        parts.append((payload.size, payload.is_repeatable))
        return await send_part(ref, s3_upload_id, number, payload)

    deployment.store.send_part = spy  # type: ignore[method-assign]  # of this store only
    await stored(deployment, arriving(content, known=True))
    *equal, (rest, is_repeatable) = parts
    assert len({size for size, _ in equal}) == 1
    assert [is_held for _, is_held in equal] == [False] * 3
    assert (rest <= SLACK + len(parts), is_repeatable) == (True, True)


async def test_a_file_may_end_at_its_least_size() -> None:
    """A file of exactly the least size in equal parts has no rest."""
    deployment, content = Deployment(), mp3(16 * MIB)
    file = ArrivingFile("file", "a.mp3", "audio/mpeg", 16 * MIB, 16 * MIB, in_pieces(content, MIB))
    await stored(deployment, file)
    assert deployment.store.calls["send_part"] == 2


@pytest.mark.parametrize(("public", "expected"), [(True, "public, max-age=31536000"), (False, "private, ")])
@pytest.mark.parametrize("size", [1000, 9 * MIB])
async def test_the_object_has_jamsyncs_cache_control(public: bool, expected: str, size: int) -> None:
    """In a public bucket the object has JamSync's Cache-Control, and its URL is the public one."""
    environment = {"R2_PUBLIC_URL": "https://cdn.example", "R2_STAGING_BUCKET_NAME": "staging"} if public else {}
    deployment = Deployment(environment)
    seen: list[str] = []
    make = deployment.store._make

    def spy(ref: ObjectRef, headers: Any, *more: Any) -> Any:
        seen.append(headers["cache-control"])
        return make(ref, headers, *more)

    deployment.store._make = spy  # type: ignore[assignment,method-assign]  # of this store only
    (media,) = await stored(deployment, arriving(mp3(size)))
    assert media.url == (f"https://cdn.example/{media.key}" if public else None)
    assert seen[0].startswith(expected)
    assert not public or seen == [expected]


async def test_a_batch_holds_one_buffer() -> None:
    """The files of a batch are stored in parts as they arrive, and become objects together."""
    deployment = Deployment()
    contents = [mp3(1000), mp3(9 * MIB), mp3(300_000)]
    async with deployment.services.proxied_uploads.receive(USER) as reception:
        for content in contents:
            await reception.add(arriving(content), alone=False)
        assert not deployment.store.objects
        assert deployment.services.proxied_uploads.buffers._free._value == BUFFERS - 1
        media = await reception.finish()
    bodies = [deployment.store.objects[ObjectRef("songs", each.key)][1] for each in media]
    assert bodies == contents
    assert deployment.services.proxied_uploads.buffers._free._value == BUFFERS


GOOD, LARGE = mp3(1000), mp3(10 * MIB)
HTML = b"<html>" * 3000
BAD: Sequence[Any] = [
    pytest.param(b"", {}, EmptyFileError, id="empty"),
    pytest.param(HTML, {}, ContentMismatchError, id="html"),
    pytest.param(HTML * 600, {"known": True}, ContentMismatchError, id="large html"),
    pytest.param(GOOD, {"filename": "a.exe", "content_type": ""}, UnsupportedTypeError, id="type"),
    pytest.param(GOOD, {"filename": "..."}, InvalidRequestError, id="name"),
    pytest.param(LARGE, {"known": True, "error": MalformedRequestError("x")}, MalformedRequestError, id="a"),
    pytest.param(LARGE, {"error": MalformedRequestError("x")}, MalformedRequestError, id="unknown size"),
    pytest.param(GOOD, {"error": MalformedRequestError("x")}, MalformedRequestError, id="small"),
    pytest.param(mp3(12 * MIB), {"known": True}, TooLargeError, id="over the limit"),
    pytest.param(mp3(12 * MIB), {}, TooLargeError, id="over the limit, unknown size"),
]


@pytest.mark.parametrize(("content", "more", "kind"), BAD)
@pytest.mark.parametrize("alone", [True, False])
async def test_a_refused_file_leaves_nothing(
    content: bytes, more: dict[str, Any], kind: type[BrokerError], alone: bool
) -> None:
    """After a refusal nothing is stored, also of the files before, and all places are free."""
    deployment = Deployment({"UPLOAD_MAX_BYTES": "11MiB"})
    before = () if alone else (arriving(GOOD), arriving(LARGE))
    with pytest.raises(kind):
        await stored(deployment, *before, arriving(content, **more), alone=alone)
    assert is_empty(deployment)


@pytest.mark.parametrize("verb", ["create_multipart", "send_part", "complete_multipart", "send_object"])
async def test_a_failing_store_leaves_nothing(verb: str) -> None:
    """A failure of the store at any step leaves nothing."""
    deployment = Deployment()
    deployment.store.failing = {verb}
    content = GOOD if verb == "send_object" else LARGE
    with pytest.raises(StorageUnavailableError):
        await stored(deployment, arriving(content, known=True))
    assert is_empty(deployment)


async def test_a_vanished_multipart_upload_is_a_failure() -> None:
    """A multipart upload that was aborted meanwhile fails the request, and the objects before it are deleted."""
    deployment = Deployment()

    async def receive() -> None:
        async with deployment.services.proxied_uploads.receive(USER) as reception:
            await reception.add(arriving(GOOD), alone=False)
            await reception.add(arriving(LARGE), alone=False)
            deployment.store.multiparts.popitem()
            await reception.finish()

    with pytest.raises(StorageUnavailableError):
        await receive()
    assert is_empty(deployment)


async def test_an_error_after_the_end_deletes_the_objects() -> None:
    """An error within the context after the objects were stored, such as a client that is gone, deletes them."""
    deployment = Deployment()

    async def receive() -> None:
        async with deployment.services.proxied_uploads.receive(USER) as reception:
            await reception.add(arriving(GOOD), alone=True)
            await reception.finish()
            raise MalformedRequestError("the client is gone")

    with pytest.raises(MalformedRequestError):
        await receive()
    assert is_empty(deployment)


async def test_what_cannot_be_removed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A multipart upload that cannot be aborted is logged, without its key."""
    deployment = Deployment()
    deployment.store.failing = {"abort_multipart", "complete_multipart"}
    with caplog.at_level(logging.WARNING), pytest.raises(StorageUnavailableError):
        await stored(deployment, arriving(LARGE))
    (record,) = caplog.records
    line = json.loads(record.message)
    assert line == {"event": "broker.proxied_upload_left", "reason": "abort_multipart fails in this test"}


async def test_a_failed_abort_does_not_prevent_the_deletion() -> None:
    """If a multipart upload cannot be aborted, the object that it may have become is deleted nevertheless."""
    deployment = Deployment()

    async def receive() -> None:
        async with deployment.services.proxied_uploads.receive(USER) as reception:
            await reception.add(arriving(LARGE), alone=True)
            await reception.finish()
            deployment.store.failing = {"abort_multipart"}
            raise MalformedRequestError("the client is gone")

    with pytest.raises(MalformedRequestError):
        await receive()
    assert is_empty(deployment)


async def test_a_stopping_process_discards_first() -> None:
    """The end of the process waits until nothing is left of a cancelled request."""
    deployment, waits, slow = Deployment(), asyncio.Event(), asyncio.Event()
    abort = deployment.store.abort_multipart

    async def slow_abort(*arguments: Any) -> None:
        await slow.wait()
        await abort(*arguments)

    async def endless() -> AsyncGenerator[bytes]:
        yield LARGE
        waits.set()
        await asyncio.Event().wait()

    deployment.store.abort_multipart = slow_abort  # type: ignore[assignment, method-assign]  # of this store only
    file = ArrivingFile("file", "a.mp3", "audio/mpeg", 0, 17 * MIB, endless())
    task = asyncio.create_task(stored(deployment, file))
    await waits.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, slow.set)
    await deployment.services.proxied_uploads.close()
    assert is_empty(deployment)
    await asyncio.wait([task])
    await deployment.services.proxied_uploads.close()


async def test_small_pieces_are_joined() -> None:
    """Pieces of a few bytes are held together, because each object takes more than its bytes."""

    async def source() -> AsyncGenerator[bytes]:
        for _ in range(40_000):
            yield b"ab"

    pieces = await PieceReader(source()).take_all(80_000)
    assert (len(pieces), len(b"".join(pieces))) == (2, 80_000)


@pytest.mark.parametrize("known", [True, False])
async def test_a_cancelled_request_leaves_nothing(known: bool) -> None:
    """A request that is cancelled while its file arrives leaves nothing, although it is cancelled twice."""
    deployment, waits = Deployment(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes]:
        yield LARGE
        waits.set()
        await asyncio.Event().wait()

    size_min = 16 * MIB if known else 0
    file = ArrivingFile("file", "a.mp3", "audio/mpeg", size_min, 17 * MIB, endless())
    task = asyncio.create_task(stored(deployment, file))
    await waits.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(3):
        await asyncio.sleep(0)
    assert is_empty(deployment)


async def test_places_and_buffers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request over the limit of places, or of a user's share of the buffers, is refused after a time."""
    monkeypatch.setattr(proxied_uploads, "PLACE_WAIT", 0.01)
    deployment = Deployment()
    uploads = deployment.services.proxied_uploads
    CALLER.set("user-1")
    async with uploads.receive(USER) as first, uploads.receive(USER) as second:
        await first.add(arriving(LARGE), alone=True)
        await second.add(arriving(LARGE), alone=True)
        with pytest.raises(StorageUnavailableError) as refused:
            await stored(deployment, arriving(LARGE))
        assert refused.value.reason == "too many files are being received"
        await stored(deployment, arriving(GOOD))  # needs no buffer
        CALLER.set("user-2")
        await stored(deployment, arriving(LARGE))  # another user's share
    for _ in range(PLACES):
        await uploads.places.acquire(None, 0)
    with pytest.raises(StorageUnavailableError):
        await stored(deployment, arriving(GOOD))


@pytest.mark.parametrize("counts", [(3, 4, 100), (1,) * 12, (100,), (0, 10)])
async def test_pieces_are_cut_anywhere(counts: tuple[int, ...]) -> None:
    """Portions of any size are cut from pieces of any size."""
    reader = PieceReader(in_pieces(b"0123456789", 4))
    taken = [b"".join(await reader.take_all(count)) for count in counts]
    assert b"".join(taken) == b"0123456789"
    assert all(len(each) <= count for each, count in zip(taken, counts, strict=True))
