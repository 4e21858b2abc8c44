"""Deletion that is final: a tombstone first, then everything else.

Why nothing comes back, in whatever order the requests of several processes reach the store
- A PUT whose URL is still alive, and a completion of parts, are create-only: they meet the tombstone (412).
- A copy that begins after the tombstone fails by the condition on its source.
- A copy that began before it ends within ``COPY_SETTLES`` seconds, and then the ready object is removed; or it takes
  longer, and then its confirm looks at the staged object once more and removes what it made.
- What is under way in parts or ranges is aborted. That only saves storage, so a store that refuses to list it stops
  no deletion: the bucket's lifecycle rule removes it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from broker.core.layout import Layout
from broker.core.model import ObjectRef
from broker.core.object_keys import READY_PREFIX, STAGING_PREFIX
from broker.core.tombstone import HEADERS
from broker.errors import StorageUnavailableError
from broker.store.port import ObjectStore

from .batches import for_each

COPY_SETTLES: Final = 0.5
"""Seconds between a tombstone and the removal of the ready object. Most copies of small files take less."""


class Deletion:
    """Deletes what one deployment's uploads left at the store."""

    def __init__(self, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    async def delete(self, staged: ObjectRef, ready: ObjectRef, *, is_settled: bool = False) -> None:
        """Delete one upload and its object; ``is_settled`` says that no copy to ``ready`` can be under way.

        Raises ``StorageUnavailableError``; to delete it again is safe, and needed then.
        """
        await self._store.put_empty(staged, headers=HEADERS)
        await asyncio.gather(
            self._abandon(staged.bucket, staged.key, {staged.key}),
            self._abandon(ready.bucket, ready.key, {ready.key}),
            asyncio.sleep(0 if is_settled else COPY_SETTLES),
        )
        await self._store.delete(ready)

    async def delete_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete the objects of many ready keys; returns those that it failed to delete, each with the reason.

        Raises ``StorageUnavailableError`` when it failed for all of them.
        """
        failures = await for_each(keys, self._bury)
        failed = {key: error.reason for key, error in zip(keys, failures, strict=True) if error}
        buried = [key for key in keys if key not in failed]
        if not buried:
            raise next(error for error in failures if error)
        staged = {self._layout.staged_twin(key).key for key in buried}
        await asyncio.gather(
            self._abandon(self._layout.staging_bucket, STAGING_PREFIX, staged),
            self._abandon(self._layout.bucket, READY_PREFIX, set(buried)),
            asyncio.sleep(COPY_SETTLES),
        )
        return {**failed, **await self._store.delete_many(self._layout.bucket, buried)}

    async def _bury(self, key: str) -> StorageUnavailableError | None:
        """Write the tombstone of one key; the failure if there is one."""
        try:
            await self._store.put_empty(self._layout.staged_twin(key), headers=HEADERS)
        except StorageUnavailableError as error:
            return error
        return None

    async def _abandon(self, bucket: str, prefix: str, keys: set[str]) -> None:
        """Abort the multipart uploads under way to ``keys``, which all begin with ``prefix``."""
        with suppress(StorageUnavailableError):
            found = await self._store.open_multiparts(bucket, prefix)
            await for_each(
                [upload for upload in found if upload.key in keys],
                lambda upload: self._store.abort_multipart(ObjectRef(bucket, upload.key), upload.s3_upload_id),
            )
