"""Promotion: the copy of a verified object from its staged key to its ready key.

Rules of this module
- A promotion copies one version: every copy, of the whole or of a range, has the ETag of the verified object as its
  condition. A promotion of an earlier version is aborted.
- An object of more than ``COPY_MAX`` bytes is copied in ranges, so that no copy exceeds its deadline. The state is the
  store's own list of copied ranges, so that the next confirm continues an interrupted promotion.
- Ranges wait for a slot until ``DEADLINE``. Then the result is the progress of the promotion.
- A promotion does not replace a ready object, where the store can refuse to.
- After a copy that took longer than ``COPY_GRACE``, the staged object is read once more (``deletion``).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.core.limits import GIB, MIB
from broker.core.model import CopiedObject, ObjectRef, StoredObject
from broker.core.parts import PartPlan, complete, plan
from broker.errors import ObjectThrottledError
from broker.store.port import ObjectStore
from broker.store.slots import CALLER, Slots

from .deletion import COPY_GRACE

COPY_MAX: Final = GIB
"""Maximum bytes of an object that is promoted by one CopyObject."""

RANGE: Final = 64 * MIB
"""Bytes of one range. An object that would need more than 10 000 such ranges has larger ones."""

CONCURRENT_RANGES_PER_OBJECT: Final = 4
"""Ranges of one object that are copied at the same time."""

CONCURRENT_RANGES: Final = 16
"""Ranges of all objects that a process copies at the same time, a quarter of them for one user.

They are long calls to the store; enough slots must be left for other copies.
"""

DEADLINE: Final = 10.0
"""Seconds after which no further range is started. Ranges in progress still end, so that every confirm advances."""

NEXT_SECOND: Final = 1.0
"""Seconds between the read of the staged object and the start of its promotion in ranges.

Stores state both instants in whole seconds. So a promotion of this version has a later instant than the version.
"""


@dataclass(frozen=True, slots=True)
class Promoting:
    """A promotion that needs another confirm: ``copied`` of ``size`` bytes are copied."""

    copied: int
    size: int


@dataclass(frozen=True, slots=True)
class _Move:
    """The version ``staged`` of the object at ``source``, its ``target``, and the headers of the copy."""

    source: ObjectRef
    staged: StoredObject
    target: ObjectRef
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Ranges:
    """A promotion in ranges: its multipart upload at the target, all ranges, and the numbers of the missing ones."""

    s3_upload_id: str
    plan: PartPlan
    missing: list[int]

    @property
    def copied(self) -> int:
        """The bytes of the copied ranges."""
        return self.plan.size - sum(map(self.plan.size_of, self.missing))


@dataclass(frozen=True, slots=True)
class Promotion:
    """Promotes the objects of one deployment."""

    store: ObjectStore
    _slots: Slots = field(default_factory=lambda: Slots(CONCURRENT_RANGES), init=False)

    async def promote(
        self, source: ObjectRef, staged: StoredObject, target: ObjectRef, headers: Mapping[str, str]
    ) -> CopiedObject | Promoting | None:
        """Copy exactly the version ``staged`` with new ``headers``.

        Returns ``None`` if that version was replaced or removed, or if the target exists or may exist: the caller then
        reads both.
        """
        move = _Move(source, staged, target, headers)
        if staged.size <= COPY_MAX:
            return await self._copy(move)
        s3_upload_id = await self._find_or_create(move)
        ranges = await self._list_ranges(move, s3_upload_id)
        if ranges is None:
            return None
        if not await self._copy_ranges(move, ranges):
            await self.store.abort_multipart(target, s3_upload_id)
            return None
        if ranges.missing:
            return Promoting(ranges.copied, staged.size)
        return await self._complete(move, ranges)

    async def _copy(self, move: _Move) -> CopiedObject | None:
        clock = asyncio.get_running_loop().time
        started_at = clock()
        size, if_match = move.staged.size, move.staged.etag
        try:
            copied = await self.store.copy(move.source, move.target, if_match=if_match, headers=move.headers, size=size)
        except ObjectThrottledError:
            # Another of several concurrent copies to this key may have succeeded
            if await self.store.head(move.target) is None:
                raise
            return None
        if copied and clock() - started_at > COPY_GRACE and not await self._is_unchanged(move):
            return None
        return copied

    async def _find_or_create(self, move: _Move) -> str:
        """Return the S3 UploadId of this version's promotion: the oldest that is newer than the version, or a new one.

        Promotions of earlier versions are aborted.
        """
        listed = await self.store.open_multiparts(move.target.bucket, move.target.key)
        for upload in [upload for upload in listed if upload.key == move.target.key]:
            if upload.initiated > move.staged.last_modified:
                return upload.s3_upload_id
            await self.store.abort_multipart(move.target, upload.s3_upload_id)
        await asyncio.sleep(NEXT_SECOND)
        return await self.store.create_multipart(move.target, headers=move.headers)

    async def _list_ranges(self, move: _Move, s3_upload_id: str) -> _Ranges | None:
        """Return the ranges of the promotion; ``None`` if another request aborted or completed it."""
        ranges = plan(move.staged.size, RANGE)
        found = await self.store.list_parts(move.target, s3_upload_id)
        if found is None:
            return None
        done = {part.number for part in found if ranges.has(part.number) and part.size == ranges.size_of(part.number)}
        return _Ranges(s3_upload_id, ranges, [number for number in ranges.numbers() if number not in done])

    async def _copy_ranges(self, move: _Move, ranges: _Ranges) -> bool:
        """Copy the missing ranges until the deadline; return whether all conditions held.

        Each range that is started is removed from ``ranges.missing``.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + DEADLINE
        missing = ranges.missing
        failed: list[int] = []

        async def work() -> None:
            user = CALLER.get()
            while missing and not failed:
                try:
                    await self._slots.acquire(user, deadline)
                except TimeoutError:
                    return
                try:
                    if missing and not failed:
                        number = missing.pop(0)
                        if not await self._copy_range(move, ranges, number):
                            failed.append(number)
                finally:
                    self._slots.release(user)
                if clock() >= deadline:
                    return

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENT_RANGES_PER_OBJECT):
                    group.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return not failed

    async def _copy_range(self, move: _Move, ranges: _Ranges, number: int) -> bool:
        """Copy one range; return whether the condition on the source held."""
        return await self.store.copy_part(
            move.source,
            move.target,
            ranges.s3_upload_id,
            number,
            if_match=move.staged.etag,
            first_byte=ranges.plan.first_byte_of(number),
            size=ranges.plan.size_of(number),
        )

    async def _complete(self, move: _Move, ranges: _Ranges) -> CopiedObject | None:
        """Complete the promotion in ranges; return ``None`` if the source or the target changed meanwhile."""
        target, s3_upload_id = move.target, ranges.s3_upload_id
        if not await self._is_unchanged(move):
            await self.store.abort_multipart(target, s3_upload_id)
            return None
        parts = await self.store.list_parts(target, s3_upload_id)
        if parts is None:
            return None
        if not await self.store.complete_multipart(target, s3_upload_id, complete(ranges.plan, parts)):
            await self.store.abort_multipart(target, s3_upload_id)
            return None
        if not await self._is_unchanged(move):
            return None
        ready = await self.store.head(target)
        return CopiedObject(ready.etag, ready.last_modified) if ready else None

    async def _is_unchanged(self, move: _Move) -> bool:
        """Return whether the staged object is still the verified version."""
        now = await self.store.head(move.source, is_long=True)
        return now is not None and now.etag == move.staged.etag
