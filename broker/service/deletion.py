"""Final deletion: write a tombstone first, then delete everything else.

No object is restored, in any order in which the requests of several processes reach the store
- A PUT whose URL is still valid, and a completion of parts, are create-only: the tombstone makes them fail (412).
- A copy that starts after the tombstone fails by the condition on its source.
- A copy that started before it ends within ``COPY_GRACE`` seconds, and then the ready object is deleted. If it takes
  longer, its confirm reads the staged object once more and deletes the copy.
- Open multipart uploads and copies in ranges are aborted. That only saves storage, so a deletion succeeds although the
  store refuses to list them: the bucket's lifecycle rule removes them.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from broker.core.layout import Layout
from broker.core.model import ObjectRef
from broker.core.object_keys import READY_PREFIX, STAGING_PREFIX
from broker.core.tombstone import HEADERS
from broker.errors import StorageUnavailableError
from broker.store.port import ObjectStore

from .batches import for_each

COPY_GRACE: Final = 0.5
"""Seconds between a tombstone and the deletion of the ready object. Most copies of small files take less."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Deletes the objects of one deployment's uploads."""

    store: ObjectStore
    layout: Layout

    async def delete(self, staged: ObjectRef, ready: ObjectRef, *, copies_ended: bool = False) -> None:
        """Delete one upload and its object; ``copies_ended`` means that no copy to ``ready`` can be in progress.

        Raises ``StorageUnavailableError``: then the deletion must be retried, which is safe.
        """
        await self.store.put_empty(staged, headers=HEADERS)
        await asyncio.gather(
            self._abort_multiparts(staged.bucket, staged.key, {staged.key}),
            self._abort_multiparts(ready.bucket, ready.key, {ready.key}),
            asyncio.sleep(0 if copies_ended else COPY_GRACE),
        )
        await self.store.delete(ready)

    async def delete_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete the objects of many ready keys; return the keys that failed, each with the reason.

        Raises ``StorageUnavailableError`` when all of them failed.
        """
        failures = await for_each(keys, self._write_tombstone)
        failed = {key: error.reason for key, error in zip(keys, failures, strict=True) if error}
        marked = [key for key in keys if key not in failed]
        if not marked:
            raise next(error for error in failures if error)
        staged = {self.layout.staged_twin(key).key for key in marked}
        await asyncio.gather(
            self._abort_multiparts(self.layout.staging_bucket, STAGING_PREFIX, staged),
            self._abort_multiparts(self.layout.bucket, READY_PREFIX, set(marked)),
            asyncio.sleep(COPY_GRACE),
        )
        return {**failed, **await self.store.delete_many(self.layout.bucket, marked)}

    async def _write_tombstone(self, key: str) -> StorageUnavailableError | None:
        """Write the tombstone of one ready key; return the failure, if any."""
        try:
            await self.store.put_empty(self.layout.staged_twin(key), headers=HEADERS)
        except StorageUnavailableError as error:
            return error
        return None

    async def _abort_multiparts(self, bucket: str, prefix: str, keys: set[str]) -> None:
        """Abort the open multipart uploads to ``keys``, which all start with ``prefix``."""
        with suppress(StorageUnavailableError):
            found = await self.store.open_multiparts(bucket, prefix)
            await for_each(
                [upload for upload in found if upload.key in keys],
                lambda upload: self.store.abort_multipart(ObjectRef(bucket, upload.key), upload.s3_upload_id),
            )
