"""ObjectStore: the verbs the use cases need from a store, and no more.

Contract, which one suite in ``tests/contract`` holds every implementation to
- Absence is a value (``None``), said only when the store itself says so. Whatever else is not a clear answer
  (refused, unreachable, late, forbidden, missing or senseless headers) is ``StorageUnavailableError``.
- Every call ends within its total deadline, answer or not.
- A failed condition of a copy or of a completion is a value too: ``None`` or ``False``.
- A throttled object is ``ObjectThrottledError``, which a caller may tell from a store that fails.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from broker.core.limits import MIB, PUT_MAX
from broker.core.model import CopiedObject, ObjectHead, ObjectRef, OpenMultipart, Part, StoredObject

QUICK_COPY_MAX: Final = 16 * MIB
"""Bytes up to which a copy is a quick call: R2 makes one in half a second. Any other call that copies is a long one."""


class ObjectVerbs(Protocol):
    """What is done to whole objects."""

    async def head(self, ref: ObjectRef, *, is_long: bool = False) -> StoredObject | None:
        """HeadObject; ``None`` when the store says that there is no such object.

        ``is_long``: it belongs to a long call that was just made, such as a copy, and waits behind no quick one.
        """
        ...

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        """What HeadObject says, and the first ``count`` bytes, fewer only of an object that has no more.

        All of it concerns one version (ranged GetObject); ``None`` when there is no such object. With ``checksum`` the
        store is also asked for the object's SHA-256, which stays ``None`` where it returns none or refuses to.
        """
        ...

    async def put_empty(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> None:
        """PutObject of no bytes with these ``headers``, in place of whatever is there."""
        ...

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str], size: int = PUT_MAX
    ) -> CopiedObject | None:
        """CopyObject of exactly the version whose ETag is ``if_match``, with ``headers`` as the new metadata.

        ``None`` when the source is gone or changed, or the target exists and the store can refuse to replace it. It may
        take longer the larger the ``size``, in bytes, is.
        """
        ...

    async def delete(self, ref: ObjectRef) -> None:
        """DeleteObject; deleting what is not there succeeds."""
        ...

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> dict[str, str]:
        """DeleteObjects, up to 1000 keys; returns the keys the store failed to delete, each with the reason."""
        ...


class MultipartVerbs(Protocol):
    """What is done to objects in parts. A ``None`` answer: the store has no such multipart upload (any more)."""

    async def create_multipart(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> str:
        """CreateMultipartUpload of an object that will have ``headers``; the store's id of the upload."""
        ...

    async def open_multiparts(self, bucket: str, prefix: str) -> list[OpenMultipart]:
        """The multipart uploads under way to keys with this ``prefix`` (ListMultipartUploads), oldest first."""
        ...

    async def list_parts(self, ref: ObjectRef, s3_upload_id: str) -> list[Part] | None:
        """ListParts, all pages, in order."""
        ...

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
        """UploadPartCopy of ``size`` bytes of ``source`` from ``first_byte`` on, as the part ``number`` of ``target``.

        The source must be the version whose ETag is ``if_match``. False when the upload or that version is gone.
        """
        ...

    async def complete_multipart(self, ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        """CompleteMultipartUpload of exactly ``parts``; false when the upload is gone or an object is there already.

        The store never replaces an object by it.
        """
        ...

    async def abort_multipart(self, ref: ObjectRef, s3_upload_id: str) -> None:
        """AbortMultipartUpload; aborting what is not there succeeds."""
        ...


class ObjectStore(ObjectVerbs, MultipartVerbs, Protocol):
    """An S3 store seen from the broker. Every method raises ``StorageUnavailableError``."""

    @property
    def clock_skew(self) -> float | None:
        """Seconds that our clock is ahead of the store's, as its last answer has it; ``None`` when it is unknown."""
        ...

    def place(self) -> AbstractAsyncContextManager[None]:
        """A place at the store for the calls that one request makes: within it, no call but a long one has to wait."""
        ...

    async def ping(self, bucket: str) -> None:
        """Return when the bucket can be read with our credentials."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
