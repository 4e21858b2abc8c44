"""The port in memory: what its contract says, no more. For fast tests of the use cases."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from broker.core.model import CopiedObject, ObjectRef, StoredObject
from broker.errors import StorageUnavailableError
from broker.store.answers import METADATA_PREFIX


class MemoryObjectStore:
    """Every bucket exists unless it is in ``missing_buckets``.

    ``calls`` counts the calls of each verb; a verb in ``failing`` raises; ``delete_many`` leaves ``undeletable`` keys.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.objects: dict[ObjectRef, tuple[StoredObject, bytes]] = {}
        self.calls: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.missing_buckets: set[str] = set()
        self.undeletable: set[str] = set()
        self.is_closed = False
        self._clock = clock

    def put(
        self,
        ref: ObjectRef,
        body: bytes,
        *,
        content_type: str = "audio/mpeg",
        metadata: Mapping[str, str] | None = None,
        etag: str | None = None,
    ) -> StoredObject:
        """What a client's PUT leaves behind."""
        tag = etag or hashlib.md5(body).hexdigest()
        stored = StoredObject(len(body), content_type, tag, int(self._clock()), dict(metadata or {}))
        self.objects[ref] = (stored, body)
        return stored

    async def head(self, ref: ObjectRef) -> StoredObject | None:
        self._count("head")
        found = self.objects.get(ref)
        return found[0] if found else None

    async def first_bytes(self, ref: ObjectRef, count: int) -> tuple[str, bytes] | None:
        self._count("first_bytes", ref.bucket)
        found = self.objects.get(ref)
        return (found[0].etag, found[1][:count]) if found else None

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str]
    ) -> CopiedObject | None:
        self._count("copy", source.bucket, target.bucket)
        found = self.objects.get(source)
        if found is None or found[0].etag != if_match or target in self.objects:
            return None
        metadata = {
            name.removeprefix(METADATA_PREFIX): value
            for name, value in headers.items()
            if name.startswith(METADATA_PREFIX)
        }
        made = self.put(target, found[1], content_type=headers["content-type"], metadata=metadata, etag=if_match)
        return CopiedObject(made.etag, made.last_modified)

    async def delete(self, ref: ObjectRef) -> None:
        self._count("delete", ref.bucket)
        self.objects.pop(ref, None)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> frozenset[str]:
        if not keys:
            return frozenset()
        self._count("delete_many", bucket)
        for key in set(keys) - self.undeletable:
            self.objects.pop(ObjectRef(bucket, key), None)
        return frozenset(keys) & self.undeletable

    async def ping(self, bucket: str) -> None:
        self._count("ping", bucket)

    async def close(self) -> None:
        self.is_closed = True

    def _count(self, verb: str, *buckets: str) -> None:
        self.calls[verb] += 1
        if verb in self.failing or self.missing_buckets.intersection(buckets):
            raise StorageUnavailableError(f"{verb} fails in this test")
