"""The port in memory, exactly as its contract says, for fast tests of the use cases."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace

from broker.core.limits import PART_MIN, PUT_MAX
from broker.core.model import CopiedObject, ObjectHead, ObjectRef, OpenMultipart, Part, StoredObject
from broker.errors import StorageUnavailableError
from broker.store.port import Payload
from broker.store.s3_responses import METADATA_PREFIX


@dataclass
class Multipart:
    """A multipart upload under way."""

    ref: ObjectRef
    headers: Mapping[str, str]
    initiated: int
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)


class MemoryObjectStore:
    """Every bucket exists unless it is in ``missing_buckets``.

    ``calls`` counts the calls of each verb; a verb in ``failing`` raises; ``undeletable`` keys keep their objects.
    ``returns_checksums`` is whether it answers with the SHA-256 of objects; ``skew`` is our clock's from the store's.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.objects: dict[ObjectRef, tuple[StoredObject, bytes]] = {}
        self.multiparts: dict[str, Multipart] = {}
        self.calls: Counter[str] = Counter()
        self.failing: set[str] = set()
        self.missing_buckets: set[str] = set()
        self.undeletable: set[str] = set()
        self.returns_checksums = True
        self.is_closed = False
        self.skew: float | None = None
        self._clock = clock

    @property
    def clock_skew(self) -> float | None:
        return self.skew

    @property
    def is_circuit_open(self) -> bool:
        return False

    def reserve(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def put(
        self,
        ref: ObjectRef,
        body: bytes,
        *,
        content_type: str = "audio/mpeg",
        metadata: Mapping[str, str] | None = None,
        etag: str | None = None,
        content_encoding: str = "",
    ) -> StoredObject:
        """Store an object as by a client's PUT."""
        tag = etag or hashlib.md5(body).hexdigest()
        moment = int(self._clock())
        stored = StoredObject(
            len(body), content_type, tag, moment, dict(metadata or {}), content_encoding=content_encoding
        )
        self.objects[ref] = (stored, body)
        return stored

    def put_part(self, s3_upload_id: str, number: int, body: bytes, *, size: int | None = None) -> None:
        """Store a part as by a client's PUT; ``size`` replaces the number of its bytes."""
        part = Part(number, len(body) if size is None else size, hashlib.md5(body).hexdigest())
        self.multiparts[s3_upload_id].parts[number] = (part, body)

    async def head(self, ref: ObjectRef, *, is_long: bool = False) -> StoredObject | None:  # noqa: ARG002  # no slots
        self._count("head")
        found = self.objects.get(ref)
        return found[0] if found else None

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        self._count("first_bytes", ref.bucket)
        found = self.objects.get(ref)
        if found is None:
            return None
        stored, body = found
        if checksum and self.returns_checksums:
            stored = replace(stored, sha256=hashlib.sha256(body).digest())
        return ObjectHead(stored, body[:count])

    async def more_bytes(self, ref: ObjectRef, offset: int, count: int, *, if_match: str) -> bytes | None:
        self._count("more_bytes", ref.bucket)
        found = self.objects.get(ref)
        if found is None or found[0].etag != if_match:
            return None
        return found[1][offset : offset + count]

    async def put_empty(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> None:
        self._count("put_empty", ref.bucket)
        if ref.key in self.undeletable:
            raise StorageUnavailableError("put_empty fails for this key")
        self._make(ref, headers, b"", 0, hashlib.md5(b"").hexdigest())

    async def copy(
        self,
        source: ObjectRef,
        target: ObjectRef,
        *,
        if_match: str,
        headers: Mapping[str, str],
        size: int = PUT_MAX,  # noqa: ARG002  # a copy takes no time
    ) -> CopiedObject | None:
        self._count("copy", source.bucket, target.bucket)
        found = self.objects.get(source)
        if found is None or found[0].etag != if_match or target in self.objects:
            return None
        made = self._make(target, headers, found[1], found[0].size, if_match)
        return CopiedObject(made.etag, made.last_modified)

    async def delete(self, ref: ObjectRef) -> None:
        self._count("delete", ref.bucket)
        self.objects.pop(ref, None)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        self._count("delete_many", bucket)
        for key in set(keys) - self.undeletable:
            self.objects.pop(ObjectRef(bucket, key), None)
        return {key: "InternalError" for key in keys if key in self.undeletable}

    async def create_multipart(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> str:
        self._count("create_multipart", ref.bucket)
        s3_upload_id = f"upload-{self.calls['create_multipart']}"
        self.multiparts[s3_upload_id] = Multipart(ref, dict(headers), int(self._clock()))
        return s3_upload_id

    async def open_multiparts(self, bucket: str, prefix: str) -> list[OpenMultipart]:
        self._count("open_multiparts", bucket)
        return [
            OpenMultipart(found.ref.key, s3_upload_id, found.initiated)
            for s3_upload_id, found in self.multiparts.items()
            if found.ref.bucket == bucket and found.ref.key.startswith(prefix)
        ]

    async def list_parts(self, ref: ObjectRef, s3_upload_id: str) -> list[Part] | None:
        self._count("list_parts", ref.bucket)
        found = self._find(ref, s3_upload_id)
        return None if found is None else [found.parts[number][0] for number in sorted(found.parts)]

    async def copy_part(
        self,
        source: ObjectRef,
        target: ObjectRef,
        s3_upload_id: str,
        number: int,
        *,
        if_match: str,
        first_byte: int,
        size: int,
    ) -> bool:
        self._count("copy_part", source.bucket, target.bucket)
        upload, found = self._find(target, s3_upload_id), self.objects.get(source)
        if upload is None or found is None or found[0].etag != if_match:
            return False
        if first_byte + size > found[0].size:
            raise StorageUnavailableError("InvalidRange")
        self.put_part(s3_upload_id, number, found[1][first_byte : first_byte + size], size=size)
        return True

    async def complete_multipart(self, ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        self._count("complete_multipart", ref.bucket)
        upload = self._find(ref, s3_upload_id)
        if upload is None or ref in self.objects:
            return False
        stored = [upload.parts.get(part.number, (None, b"")) for part in parts]
        if not parts or [part for part, _ in stored] != list(parts):
            raise StorageUnavailableError("InvalidPart")
        *whole, last = parts
        if any(part.size != whole[0].size or part.size < max(PART_MIN, last.size) for part in whole):
            raise StorageUnavailableError("EntityTooSmall")
        tags = b"".join(bytes.fromhex(part.etag) for part in parts)
        etag = f"{hashlib.md5(tags).hexdigest()}-{len(parts)}"
        body = b"".join(body for _, body in stored)
        self._make(ref, upload.headers, body, sum(part.size for part in parts), etag)
        del self.multiparts[s3_upload_id]
        return True

    async def abort_multipart(self, ref: ObjectRef, s3_upload_id: str) -> None:
        self._count("abort_multipart", ref.bucket)
        if self._find(ref, s3_upload_id):
            del self.multiparts[s3_upload_id]

    async def send_object(self, ref: ObjectRef, payload: Payload, *, headers: Mapping[str, str]) -> None:
        body = await _read(payload)
        self._count("send_object", ref.bucket)
        self._make(ref, headers, body, len(body), hashlib.md5(body).hexdigest())

    async def send_part(self, ref: ObjectRef, s3_upload_id: str, number: int, payload: Payload) -> Part:
        body = await _read(payload)
        self._count("send_part", ref.bucket)
        if self._find(ref, s3_upload_id) is None:
            raise StorageUnavailableError("NoSuchUpload")
        self.put_part(s3_upload_id, number, body)
        return self.multiparts[s3_upload_id].parts[number][0]

    async def ping(self, bucket: str) -> None:
        self._count("ping", bucket)

    async def close(self) -> None:
        self.is_closed = True

    def _find(self, ref: ObjectRef, s3_upload_id: str) -> Multipart | None:
        found = self.multiparts.get(s3_upload_id)
        return found if found and found.ref == ref else None

    def _make(self, ref: ObjectRef, headers: Mapping[str, str], body: bytes, size: int, etag: str) -> StoredObject:
        """Return an object with the type and the metadata of ``headers``."""
        metadata = {
            name.removeprefix(METADATA_PREFIX): value
            for name, value in headers.items()
            if name.startswith(METADATA_PREFIX)
        }
        made = replace(
            self.put(ref, body, content_type=headers["content-type"], metadata=metadata, etag=etag), size=size
        )
        self.objects[ref] = (made, body)
        return made

    def _count(self, verb: str, *buckets: str) -> None:
        self.calls[verb] += 1
        if verb in self.failing or self.missing_buckets.intersection(buckets):
            raise StorageUnavailableError(f"{verb} fails in this test")


async def _read(payload: Payload) -> bytes:
    """Return the bytes of a payload, which must have its size."""
    body = b"".join([piece async for piece in payload.pieces()])
    if len(body) != payload.size:
        raise ValueError("a payload must have its size")
    return body
