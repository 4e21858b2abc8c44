"""ObjectStore: the verbs the use cases need from a store, and no more.

Contract, which one suite in ``tests/contract`` holds every implementation to
- Absence is a value (``None``), said only when the store itself says so. Whatever else is not a clear answer
  (refused, unreachable, late, forbidden, missing or senseless headers) is ``StorageUnavailableError``.
- Every call ends within its total deadline, answer or not.
- A failed condition of a copy is a value too: ``None``.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from broker.core.model import CopiedObject, ObjectRef, StoredObject


class ObjectStore(Protocol):
    """An S3 store seen from the broker. Every method raises ``StorageUnavailableError``."""

    async def head(self, ref: ObjectRef) -> StoredObject | None:
        """HeadObject; ``None`` when the store says that there is no such object."""
        ...

    async def first_bytes(self, ref: ObjectRef, count: int) -> tuple[str, bytes] | None:
        """ETag and the first ``count`` bytes at most (ranged GetObject); ``None`` when there is no such object."""
        ...

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str]
    ) -> CopiedObject | None:
        """CopyObject of exactly the version whose ETag is ``if_match``, with ``headers`` as the new metadata.

        ``None`` when the source is gone or changed, or the target exists and the store can refuse to replace it.
        """
        ...

    async def delete(self, ref: ObjectRef) -> None:
        """DeleteObject; deleting what is not there succeeds."""
        ...

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> frozenset[str]:
        """DeleteObjects, up to 1000 keys; returns the keys the store failed to delete."""
        ...

    async def ping(self, bucket: str) -> None:
        """Return when the bucket can be read with our credentials."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
