"""Promotion: the copy of a checked object from where it is staged to where it is ready.

What one CopyObject may not carry is copied in ranges. That takes long, so it goes on where it stopped: the state is
the store's own list of the ranges that are there. A promotion that is cut off, by its deadline or by the end of the
process, is continued by whoever confirms next.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.limits import MIB, PUT_MAX
from broker.core.model import CopiedObject, ObjectRef, StoredObject
from broker.core.parts import PartPlan, complete, plan
from broker.errors import StorageUnavailableError
from broker.store.port import ObjectStore

RANGE: Final = 256 * MIB
"""Bytes of one range, unless it takes larger ones to need no more than 10 000."""

CONCURRENCY: Final = 3
"""Ranges of one object that are copied at once."""

DEADLINE = 10.0
"""Seconds after which no further range is begun; those under way still end, so that every confirm gets on."""


@dataclass(frozen=True, slots=True)
class Promoting:
    """A promotion that needs more time: ``copied`` of ``size`` bytes are there."""

    copied: int
    size: int


class Promotion:
    """Promotes the objects of one deployment."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def promote(
        self, source: ObjectRef, staged: StoredObject, target: ObjectRef, headers: Mapping[str, str]
    ) -> CopiedObject | Promoting | None:
        """Copy exactly ``staged`` with new ``headers``; ``None`` when it is gone, or another promoted it first."""
        if staged.size <= PUT_MAX:
            return await self._store.copy(source, target, if_match=staged.etag, headers=headers, size=staged.size)
        known = await self._store.open_multiparts(target)
        upload_id = known[0] if known else await self._store.create_multipart(target, headers=headers)
        ranges = plan(staged.size, RANGE)
        missing = await self._missing(target, upload_id, ranges)
        await self._copy(source, target, upload_id, ranges, missing)
        if missing:
            return Promoting(staged.size - sum(ranges.size_of(number) for number in missing), staged.size)
        return await self._finish(source, staged, target, upload_id, ranges)

    async def abandon(self, target: ObjectRef) -> None:
        """Give up what was copied in ranges and is not complete."""
        for upload_id in await self._store.open_multiparts(target):
            await self._store.abort_multipart(target, upload_id)

    async def _missing(self, target: ObjectRef, upload_id: str, ranges: PartPlan) -> list[int]:
        found = await self._store.list_parts(target, upload_id)
        if found is None:
            raise StorageUnavailableError("the promotion was given up, or completed, while it was looked at")
        there = {part.number for part in found if ranges.has(part.number) and part.size == ranges.size_of(part.number)}
        return [number for number in ranges.numbers() if number not in there]

    async def _copy(
        self, source: ObjectRef, target: ObjectRef, upload_id: str, ranges: PartPlan, missing: list[int]
    ) -> None:
        """Copy what is ``missing`` and take it off the list, until the deadline."""
        clock = asyncio.get_running_loop().time
        until = clock() + DEADLINE

        async def work() -> None:
            while missing:
                number = missing.pop(0)
                first, size = ranges.first_byte_of(number), ranges.size_of(number)
                if not await self._store.copy_part(source, target, upload_id, number, first_byte=first, size=size):
                    raise StorageUnavailableError("the staged object or its promotion is gone")
                if clock() >= until:
                    return

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(work())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _finish(
        self, source: ObjectRef, staged: StoredObject, target: ObjectRef, upload_id: str, ranges: PartPlan
    ) -> CopiedObject | None:
        # A copy in ranges cannot be made conditional on its source: look whether it is still the one that was checked.
        now = await self._store.head(source)
        if now is None or now.etag != staged.etag:
            await self._store.abort_multipart(target, upload_id)
            return None
        parts = await self._store.list_parts(target, upload_id)
        if parts is not None:
            await self._store.complete_multipart(target, upload_id, complete(ranges, parts))
        ready = await self._store.head(target)
        return CopiedObject(ready.etag, ready.last_modified) if ready else None
