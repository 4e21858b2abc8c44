"""ObjectStore: only those S3 operations that the use cases need.

Contract, which one test suite in ``tests/contract`` checks for every implementation
- A missing object is a value (``None``), and only if the store itself reports it. Every other failure (refused,
  unreachable, late, forbidden, a response with missing or invalid headers) raises ``StorageUnavailableError``.
- Every call ends within its total deadline, with or without a response.
- A failed condition of a copy or of a completion is a value too: ``None`` or ``False``.
- A throttled object raises ``ObjectThrottledError``, so that a caller can distinguish it from a failing store.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from broker.core.limits import MIB, PUT_MAX
from broker.core.model import CopiedObject, ObjectHead, ObjectRef, OpenMultipart, Part, StoredObject

QUICK_COPY_MAX: Final = 16 * MIB
"""The largest copy that is a quick call, in bytes: R2 makes it in half a second. Any other call that copies is long."""


class ObjectOperations(Protocol):
    """The operations on whole objects."""

    async def head(self, ref: ObjectRef, *, is_long: bool = False) -> StoredObject | None:
        """Send HeadObject; return ``None`` if the object does not exist.

        ``is_long``: the call belongs to a long call that has just ended, such as a copy, and takes a long slot.
        """
        ...

    async def first_bytes(self, ref: ObjectRef, count: int, *, checksum: bool = False) -> ObjectHead | None:
        """Return the object as of HeadObject, and its first ``count`` bytes; fewer if the object is smaller.

        Both are of one version (ranged GetObject). The result is ``None`` if the object does not exist. With
        ``checksum`` the SHA-256 of the object is requested too; it stays ``None`` if the store does not return it.
        """
        ...

    async def more_bytes(self, ref: ObjectRef, offset: int, count: int, *, if_match: str) -> bytes | None:
        """Return up to ``count`` bytes from ``offset``, which must be within the object, of the version ``if_match``.

        Returns ``None`` if the object does not exist or has changed.
        """
        ...

    async def put_empty(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> None:
        """Send PutObject without a body and with these ``headers``, which replaces an existing object."""
        ...

    async def copy(
        self, source: ObjectRef, target: ObjectRef, *, if_match: str, headers: Mapping[str, str], size: int = PUT_MAX
    ) -> CopiedObject | None:
        """Send CopyObject of exactly the version whose ETag is ``if_match``, with ``headers`` as the new metadata.

        Returns ``None`` if the source does not exist or has changed, or if the target exists and the store can refuse
        to replace it. The deadline follows from the ``size`` in bytes.
        """
        ...

    async def delete(self, ref: ObjectRef) -> None:
        """Send DeleteObject, which succeeds if the object does not exist."""
        ...

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> dict[str, str]:
        """Send DeleteObjects for up to 1000 keys; return the keys that were not deleted, each with the reason."""
        ...


class MultipartOperations(Protocol):
    """The operations on multipart uploads. The result ``None``: the multipart upload does not exist any more."""

    async def create_multipart(self, ref: ObjectRef, *, headers: Mapping[str, str]) -> str:
        """Send CreateMultipartUpload for an object with ``headers``; return the S3 UploadId."""
        ...

    async def open_multiparts(self, bucket: str, prefix: str) -> list[OpenMultipart]:
        """Return all multipart uploads of keys with this ``prefix`` (ListMultipartUploads), the oldest first."""
        ...

    async def list_parts(self, ref: ObjectRef, s3_upload_id: str) -> list[Part] | None:
        """Return the parts of all pages of ListParts, sorted by number."""
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
        """Send UploadPartCopy of ``size`` bytes of ``source`` from ``first_byte``, as part ``number`` of ``target``.

        The source must be the version whose ETag is ``if_match``. Returns ``False`` if the multipart upload or this
        version does not exist any more.
        """
        ...

    async def complete_multipart(self, ref: ObjectRef, s3_upload_id: str, parts: Sequence[Part]) -> bool:
        """Send CompleteMultipartUpload of exactly ``parts``, which never replaces an object.

        Returns ``False`` if the multipart upload does not exist any more, or if the object exists already.
        """
        ...

    async def abort_multipart(self, ref: ObjectRef, s3_upload_id: str) -> None:
        """Send AbortMultipartUpload, which succeeds if the multipart upload does not exist."""
        ...


class Payload(NamedTuple):
    """The ``size`` bytes of an object or a part, which ``pieces`` begins to produce.

    ``is_repeatable``: they can be produced again, so that the call is retried as any other. All others are sent once,
    at the pace at which the pieces arrive. An error of ``pieces`` ends the call, and is raised.
    """

    size: int
    pieces: Callable[[], AsyncGenerator[bytes]]
    is_repeatable: bool = False


class SendOperations(Protocol):
    """The operations that send content. What is not sent completely does not exist in the store."""

    async def send_object(self, ref: ObjectRef, payload: Payload, *, headers: Mapping[str, str]) -> None:
        """Send PutObject with these ``headers``, which replaces an existing object."""
        ...

    async def send_part(self, ref: ObjectRef, s3_upload_id: str, number: int, payload: Payload) -> Part:
        """Send UploadPart; return the part. An unknown multipart upload is a ``StorageUnavailableError``."""
        ...


class ObjectStore(ObjectOperations, MultipartOperations, SendOperations, Protocol):
    """An S3 store. Every method raises ``StorageUnavailableError``."""

    @property
    def clock_skew(self) -> float | None:
        """Seconds that our clock is ahead of the store's, by its latest response; ``None`` if unknown."""
        ...

    @property
    def is_circuit_open(self) -> bool:
        """Whether the circuit breaker stops calls."""
        ...

    def reserve(self) -> AbstractAsyncContextManager[None]:
        """Reserve a slot for the calls of one request: within the context, only long calls wait for a slot."""
        ...

    async def ping(self, bucket: str) -> None:
        """Check that the bucket can be read with our credentials."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
