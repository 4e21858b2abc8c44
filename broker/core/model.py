"""The values that the layers exchange.

Sizes are bytes, instants are integer seconds since the Unix epoch (UTC), durations are seconds. Values that every
request creates are msgspec Structs, because creating a frozen dataclass takes ten times as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from .media import MediaType


class Principal(Struct, frozen=True):
    """The subject of a verified token. A service may act on the objects of all users."""

    subject: str
    is_service: bool = False

    def may_act_for(self, owner: str | None) -> bool:
        """Return whether this principal may act on the objects of ``owner`` (``None``: the owner is unknown)."""
        return self.is_service or self.subject == owner


class ObjectRef(Struct, frozen=True):
    """The location of an object: a bucket and a key."""

    bucket: str
    key: str


class UploadStatus(StrEnum):
    """The status of an upload, with its values in JSON."""

    PENDING = "pending"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    READY = "ready"
    EXPIRED = "expired"
    DELETED = "deleted"


class Evidence(StrEnum):
    """The evidence that an object has the SHA-256 that its client declared.

    ``STORE``: the store returned the same checksum. ``UPLOAD``: the upload URL signed the checksum, and the store
    refuses other bytes (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
    """

    STORE = "store"
    UPLOAD = "upload"


class FileSpec(Struct, frozen=True):
    """A declared file: valid, and in canonical form.

    ``sha256`` and ``md5`` are raw digests.
    """

    filename: str
    media_type: MediaType
    size: int
    sha256: bytes | None = None
    md5: bytes | None = None


class Multipart(Struct, frozen=True):
    """The S3 UploadId of a multipart upload, and the bytes of every part but the last."""

    s3_upload_id: str
    part_size: int


class Upload(Struct, frozen=True):
    """One upload, as its upload id carries it. ``multipart`` is ``None`` for an upload in one PUT."""

    uuid: str
    owner: str
    file: FileSpec
    expires_at: int
    multipart: Multipart | None = None

    def is_expired(self, now: float) -> bool:
        """Return whether the time to confirm the upload has passed."""
        return now >= self.expires_at


@dataclass(frozen=True, slots=True)
class Part:
    """A stored part, as ListParts returns it. ``etag`` has no quotes."""

    number: int
    size: int
    etag: str


class PresignedRequest(Struct, frozen=True):
    """A request that its holder may send to the store until ``expires_at``."""

    method: str
    url: str
    headers: Mapping[str, str]
    expires_at: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the store describes it. ``etag`` has no quotes; the names of metadata are in lower case.

    ``sha256`` is the raw checksum that the store returned, if it was requested and exists. The size and the ETag of an
    object with a ``content_encoding`` are not reliable.
    """

    size: int
    content_type: str
    etag: str
    last_modified: int
    metadata: Mapping[str, str]
    sha256: bytes | None = None
    content_encoding: str = ""


class ObjectHead(NamedTuple):
    """The description of an object and its first bytes, from one read."""

    stored: StoredObject
    first_bytes: bytes


class Content(NamedTuple):
    """The first bytes of the content of an object, which begins at ``offset`` behind a long tag."""

    offset: int
    first_bytes: bytes


@dataclass(frozen=True, slots=True)
class CopiedObject:
    """The new object, as CopyObject returns it. ``etag`` has no quotes."""

    etag: str
    last_modified: int


class ListedObject(NamedTuple):
    """An object as a listing of the bucket has it."""

    key: str
    size: int
    last_modified: int


class OpenMultipart(NamedTuple):
    """An open multipart upload, as ListMultipartUploads returns it. ``initiated`` is 0 if the store omits it."""

    key: str
    s3_upload_id: str
    initiated: int


@dataclass(frozen=True, slots=True)
class Track:
    """A confirmed upload, whose ready object no client can change.

    ``sha256`` is the raw digest. It is set only together with its ``evidence``.
    """

    upload: Upload
    key: str
    etag: str
    confirmed_at: int
    sha256: bytes | None = None
    evidence: Evidence | None = None
