"""Files that pass through the broker, for clients that send forms: streamed to the store with constant memory.

Rules of this module
- No client can write to the object, so it is not staged: the broker checks the bytes while they pass, and the object
  exists at its ready key only after the whole request was received and checked.
- Of a large file whose least size is known, every part is streamed without a buffer. All parts but the last must have
  the same size (``core.parts``), so the least size is divided into equal parts, and the last part is the small rest.
- Any other file fills a buffer, which becomes one object, or one part after another. Buffers are few.
- After an error, a timeout or a client's abort the multipart uploads are aborted and the objects deleted. A process
  that is killed leaves at most open multipart uploads, which the bucket's lifecycle rule aborts.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import uuid4

from msgspec.structs import replace

from broker.core.content_sample import ContentSample
from broker.core.layout import JAMSYNC_CACHE, Layout
from broker.core.limits import MIB, PART_MIN, PARTS_MAX
from broker.core.media import MediaType
from broker.core.model import FileSpec, ObjectRef, Part, Principal, Upload
from broker.core.parts import PREFERRED_PART_SIZE
from broker.core.upload_rules import Declaration, UploadPolicy, accept
from broker.error_texts import Rule
from broker.errors import Fault, StorageUnavailableError, TooLargeError, about
from broker.store.port import ObjectStore, Payload
from broker.store.slots import CALLER, Slots

from .observer import Observer, report_refusal
from .piece_reader import PieceReader

log = logging.getLogger("broker.service")

PLACES: Final = 128
"""Requests that are received at the same time. Each holds about 256 KiB in the buffers of its two connections."""

BUFFERS: Final = 8
"""Buffers of one part (8 MiB) that are in use at the same time, a quarter of them for one user."""

UNBUFFERED_MAX: Final = MIB // 4
"""Bytes of a file that needs none of the few buffers."""

PLACE_WAIT: Final = 60.0
"""Seconds to wait for a place or a buffer. Meanwhile the client's bytes are not read."""

DISCARD_WAIT: Final = 5.0
"""Seconds in which a process that stops removes what cancelled requests have stored."""


@dataclass(frozen=True, slots=True)
class ArrivingFile:
    """A file that is being received: between ``size_min`` and ``size_max`` bytes, which ``pieces`` yields.

    ``pieces`` raises an error if the file ends before ``size_min``. ``field`` is its name in the form.
    """

    field: str
    filename: str
    content_type: str
    size_min: int
    size_max: int
    pieces: AsyncGenerator[bytes]


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """A ready object of a proxied upload, with its public URL if the bucket has one."""

    key: str
    url: str | None
    media_type: MediaType
    size: int


@dataclass(slots=True)
class _Passing:
    """A file on its way: what of it is stored, and what is held to be stored at the end."""

    upload: Upload
    ref: ObjectRef
    sample: ContentSample
    s3_upload_id: str | None = None
    parts: list[Part] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProxiedUploads:
    """Receives the files of one deployment's forms."""

    store: ObjectStore
    layout: Layout
    policy: UploadPolicy
    observer: Observer | None = None
    places: Slots = field(default_factory=lambda: Slots(PLACES), init=False)
    buffers: Slots = field(default_factory=lambda: Slots(BUFFERS), init=False)
    _discards: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    @asynccontextmanager
    async def receive(self, principal: Principal) -> AsyncIterator["Reception"]:
        """Receive the files of one request; after any error within the context nothing of them is left.

        Raises ``StorageUnavailableError`` when too many other requests are being received.
        """
        user = CALLER.get()
        await _acquire(self.places, user)
        reception = Reception(self, principal.subject, user)
        try:
            yield reception
            reception.report()
        except BaseException as error:
            report_refusal(self.observer, error)
            await asyncio.shield(self._start_discard(reception))
            raise
        finally:
            reception.release()
            self.places.release(user)

    async def close(self) -> None:
        """Wait until nothing is left of the requests that were cancelled."""
        await asyncio.sleep(0)  # a request that was cancelled just now begins to discard
        if self._discards:
            await asyncio.wait(self._discards, timeout=DISCARD_WAIT)

    def _start_discard(self, reception: "Reception") -> asyncio.Task[None]:
        """Discard what was stored, in a task that a second cancellation does not end."""
        task = asyncio.create_task(reception.discard())
        self._discards.add(task)
        task.add_done_callback(self._discards.discard)
        return task


class Reception:
    """One request whose files are being received."""

    def __init__(self, uploads: ProxiedUploads, owner: str, user: str | None) -> None:
        self._uploads = uploads
        self._store = uploads.store
        self._owner = owner
        self._user = user
        self._passing: list[_Passing] = []
        self._has_buffer = False
        self._is_finishing = False

    async def add(self, file: ArrivingFile, *, alone: bool) -> None:
        """Receive one file; ``alone`` means that the request has no other.

        Raises the errors of ``accept`` for its name and type, ``TooLargeError``, ``EmptyFileError``,
        ``ContentMismatchError``, ``StorageUnavailableError``, and those of its pieces.
        """
        passing = self._start(file)
        self._passing.append(passing)
        if self._uploads.observer:
            self._uploads.observer.created((passing.upload,), by_form=True)
        pieces = PieceReader(self._watched(passing, file))
        if file.size_min >= PART_MIN:
            await self._stream(passing, pieces, file)
        else:
            await self._buffer(passing, pieces, file, alone=alone)
        upload = passing.upload
        passing.upload = replace(upload, file=replace(upload.file, size=passing.sample.size))
        passing.sample.check(passing.upload.file)

    async def finish(self) -> list[StoredMedia]:
        """Store all received files at their ready keys, and return them; raise ``StorageUnavailableError``."""
        self._is_finishing = True
        for passing in self._passing:
            if passing.s3_upload_id is None:
                await self._store.send_object(passing.ref, _in_memory(passing.held), headers=self._headers(passing))
            elif not await self._store.complete_multipart(passing.ref, passing.s3_upload_id, passing.parts):
                raise StorageUnavailableError("the multipart upload of a proxied upload does not exist any more")
        return [self._stored(passing) for passing in self._passing]

    def report(self) -> None:
        """Report the files of a request that has succeeded."""
        if self._uploads.observer and self._is_finishing:
            for passing in self._passing:
                self._uploads.observer.confirmed(passing.upload.file.size, None)

    async def discard(self) -> None:
        """Remove everything that was stored. What cannot be removed is logged."""
        for passing in [*self._passing]:  # ``release`` may follow a second cancellation
            if passing.s3_upload_id is not None:
                await _logged(self._store.abort_multipart(passing.ref, passing.s3_upload_id))
            if self._is_finishing:
                await _logged(self._store.delete(passing.ref))

    def release(self) -> None:
        """Release the buffer."""
        self._passing.clear()
        if self._has_buffer:
            self._uploads.buffers.release(self._user)

    def _start(self, file: ArrivingFile) -> _Passing:
        """Return the state of a new file, whose type and name are accepted."""
        declaration = Declaration(file.filename, file.content_type, 1)  # the size is known at the end
        (accepted,) = accept([declaration], self._uploads.policy, batch=False)
        spec = FileSpec(accepted.file.filename, accepted.file.media_type, 0)
        upload = Upload(str(uuid4()), self._owner, spec, 0)
        return _Passing(upload, self._uploads.layout.ready(upload), ContentSample(spec.media_type, file.size_max))

    async def _watched(self, passing: _Passing, file: ArrivingFile) -> AsyncGenerator[bytes]:
        """Yield the pieces of a file; raise ``TooLargeError`` for a file over the limit."""
        limit = min(self._uploads.policy.max_bytes, PARTS_MAX * PREFERRED_PART_SIZE if not file.size_min else 2**63)
        async for piece in file.pieces:
            passing.sample.add(piece)
            if passing.sample.size > limit:
                raise about(TooLargeError, Fault(f"/{file.field}", Rule.FILE_MAX.format(limit=limit)))
            yield piece

    async def _stream(self, passing: _Passing, pieces: PieceReader, file: ArrivingFile) -> None:
        """Send a large file in equal parts whose bytes have yet to arrive, and then the rest."""
        count = min(max(file.size_min // PREFERRED_PART_SIZE, 1), PARTS_MAX - 1)
        size = file.size_min // count
        for _ in range(count):
            await self._send_part(passing, Payload(size, partial(pieces.take, size)))
        rest = await pieces.take_all(file.size_max)
        if rest:
            await self._send_part(passing, _in_memory(rest))

    async def _buffer(self, passing: _Passing, pieces: PieceReader, file: ArrivingFile, *, alone: bool) -> None:
        """Collect a file; send it in parts if it exceeds the buffer, or if other files need the buffer too."""
        if file.size_max > UNBUFFERED_MAX and not self._has_buffer:
            await _acquire(self._uploads.buffers, self._user)
            self._has_buffer = True
        is_whole = False
        while not is_whole:
            held = await pieces.take_all(PREFERRED_PART_SIZE)
            size = sum(map(len, held))
            is_whole = size < PREFERRED_PART_SIZE
            if is_whole and alone and not passing.parts:
                passing.held = held
            elif held:
                await self._send_part(passing, _in_memory(held))
            del held  # before the next part is collected

    async def _send_part(self, passing: _Passing, payload: Payload) -> None:
        if passing.s3_upload_id is None:
            headers = self._headers(passing)
            passing.s3_upload_id = await self._store.create_multipart(passing.ref, headers=headers)
        number = len(passing.parts) + 1
        passing.parts.append(await self._store.send_part(passing.ref, passing.s3_upload_id, number, payload))

    def _headers(self, passing: _Passing) -> dict[str, str]:
        layout = self._uploads.layout
        cache = {"cache-control": JAMSYNC_CACHE} if layout.public_url else {}
        return {**layout.ready_headers(passing.upload), **cache}

    def _stored(self, passing: _Passing) -> StoredMedia:
        key, file = passing.ref.key, passing.upload.file
        return StoredMedia(key, self._uploads.layout.url(key), file.media_type, file.size)


def _in_memory(pieces: list[bytes]) -> Payload:
    """Return a payload that can be sent again."""

    async def produce() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    return Payload(sum(map(len, pieces)), produce, is_repeatable=True)


async def _logged(removal: Awaitable[None]) -> None:
    try:
        await removal
    except StorageUnavailableError as error:
        log.warning(json.dumps({"event": "broker.proxied_upload_left", "reason": error.reason}))


async def _acquire(slots: Slots, user: str | None) -> None:
    try:
        await slots.acquire(user, asyncio.get_running_loop().time() + PLACE_WAIT)
    except TimeoutError:
        raise StorageUnavailableError("too many files are being received") from None
