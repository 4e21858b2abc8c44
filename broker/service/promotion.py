"""Promotion: the copy of a checked object from where it is staged to where it is ready.

Rules of this module
- A promotion copies one version: every copy, of the whole or of a range, has the ETag of the checked object as its
  condition, and what was begun for an earlier version is aborted.
- An object of more than ``COPY_MAX`` bytes is copied in ranges, so that no copy outlasts its deadline. The state is
  the store's own list of copied ranges: whoever confirms next continues a promotion that was cut off.
- Ranges wait for their turn no longer than until the deadline. Then the answer is how far the promotion got.
- It replaces no ready object, where the store can refuse to.
- A copy that took longer than a deletion waits for it is checked against the staged object once more (``deletion``).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.limits import GIB, MIB
from broker.core.model import CopiedObject, ObjectRef, StoredObject
from broker.core.parts import PartPlan, complete, plan
from broker.errors import ObjectThrottledError
from broker.store.port import ObjectStore
from broker.store.slots import CALLER, Slots

from .deletion import COPY_SETTLES

COPY_MAX: Final = GIB
"""Bytes that are promoted by one CopyObject."""

RANGE: Final = 64 * MIB
"""Bytes of one range, unless it takes larger ones to need no more than 10 000."""

CONCURRENCY: Final = 4
"""Ranges of one object that are copied at once."""

RANGES_AT_ONCE: Final = 16
"""Ranges of all objects that a process copies at once, a quarter of them for one user.

They are long calls of the store: enough of those must be left for other copies.
"""

DEADLINE = 10.0
"""Seconds after which no further range is begun; those under way still end, so that every confirm gets on."""

NEXT_SECOND: Final = 1.0
"""Seconds from the look at the staged object to the beginning of its promotion in ranges.

Stores give both instants in whole seconds. So a promotion is later than the version it copies, or is not its own.
"""


@dataclass(frozen=True, slots=True)
class Promoting:
    """A promotion that needs more time: ``copied`` of ``size`` bytes are there."""

    copied: int
    size: int


class Promotion:
    """Promotes the objects of one deployment."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._turns = Slots(RANGES_AT_ONCE)

    async def promote(
        self, source: ObjectRef, staged: StoredObject, target: ObjectRef, headers: Mapping[str, str]
    ) -> CopiedObject | Promoting | None:
        """Copy exactly ``staged`` with new ``headers``.

        ``None`` when that version is gone, or when the target exists or may exist: the caller looks at both.
        """
        if staged.size <= COPY_MAX:
            return await self._copied(source, staged, target, headers)
        s3_upload_id = await self._begun(staged, target, headers)
        ranges = plan(staged.size, RANGE)
        missing = await self._missing(target, s3_upload_id, ranges)
        if missing is None:
            return None
        if not await self._copy_ranges(source, staged, target, s3_upload_id, ranges, missing):
            await self._store.abort_multipart(target, s3_upload_id)
            return None
        if missing:
            return Promoting(staged.size - sum(ranges.size_of(number) for number in missing), staged.size)
        return await self._finish(source, staged, target, s3_upload_id, ranges)

    async def _copied(
        self, source: ObjectRef, staged: StoredObject, target: ObjectRef, headers: Mapping[str, str]
    ) -> CopiedObject | None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            made = await self._store.copy(source, target, if_match=staged.etag, headers=headers, size=staged.size)
        except ObjectThrottledError:
            # Concurrent copies to one key: the other one may have made it
            if await self._store.head(target) is None:
                raise
            return None
        if made and clock() - began > COPY_SETTLES and not await self._is_still(source, staged):
            return None
        return made

    async def _begun(self, staged: StoredObject, target: ObjectRef, headers: Mapping[str, str]) -> str:
        """The promotion of this version: the oldest that was begun after it was staged, or a new one."""
        listed = await self._store.open_multiparts(target.bucket, target.key)
        found = [upload for upload in listed if upload.key == target.key]
        for upload in found:
            if upload.initiated > staged.last_modified:
                return upload.s3_upload_id
            await self._store.abort_multipart(target, upload.s3_upload_id)
        await asyncio.sleep(NEXT_SECOND)
        return await self._store.create_multipart(target, headers=headers)

    async def _missing(self, target: ObjectRef, s3_upload_id: str, ranges: PartPlan) -> list[int] | None:
        """The ranges to copy; ``None`` when another request aborted or completed the promotion."""
        found = await self._store.list_parts(target, s3_upload_id)
        if found is None:
            return None
        there = {part.number for part in found if ranges.has(part.number) and part.size == ranges.size_of(part.number)}
        return [number for number in ranges.numbers() if number not in there]

    async def _copy_ranges(
        self,
        source: ObjectRef,
        staged: StoredObject,
        target: ObjectRef,
        s3_upload_id: str,
        ranges: PartPlan,
        missing: list[int],
    ) -> bool:
        """Copy what is ``missing`` and take it off the list, until the deadline; false when a condition failed."""
        clock = asyncio.get_running_loop().time
        until = clock() + DEADLINE
        failed: list[int] = []

        async def copy_next() -> None:
            number = missing.pop(0)
            first, size = ranges.first_byte_of(number), ranges.size_of(number)
            if not await self._store.copy_part(
                source, target, s3_upload_id, number, if_match=staged.etag, first_byte=first, size=size
            ):
                failed.append(number)

        async def work() -> None:
            user = CALLER.get()
            while missing and not failed:
                try:
                    await self._turns.acquire(user, until)
                except TimeoutError:
                    return
                try:
                    if missing and not failed:
                        await copy_next()
                finally:
                    self._turns.release(user)
                if clock() >= until:
                    return

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return not failed

    async def _finish(
        self, source: ObjectRef, staged: StoredObject, target: ObjectRef, s3_upload_id: str, ranges: PartPlan
    ) -> CopiedObject | None:
        if not await self._is_still(source, staged):
            await self._store.abort_multipart(target, s3_upload_id)
            return None
        parts = await self._store.list_parts(target, s3_upload_id)
        if parts is None:
            return None
        if not await self._store.complete_multipart(target, s3_upload_id, complete(ranges, parts)):
            await self._store.abort_multipart(target, s3_upload_id)
            return None
        if not await self._is_still(source, staged):
            return None
        ready = await self._store.head(target)
        return CopiedObject(ready.etag, ready.last_modified) if ready else None

    async def _is_still(self, source: ObjectRef, staged: StoredObject) -> bool:
        """Whether the staged object is the version that was checked."""
        now = await self._store.head(source, is_long=True)
        return now is not None and now.etag == staged.etag
