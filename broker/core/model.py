"""The vocabulary: values that the layers hand each other. No behaviour beyond what a value knows of itself.

Sizes are bytes; instants are integer seconds since the Unix epoch (UTC); durations are seconds. What every request
makes is a msgspec Struct: a frozen dataclass takes ten times as long to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from .media import MediaType


class Principal(Struct, frozen=True):
    """Who acts: the subject of a verified token. A service acts on everybody's objects."""

    subject: str
    is_service: bool = False

    def may_act_for(self, owner: str | None) -> bool:
        """Whether this principal may act on what ``owner`` owns (``None``: nobody is known to)."""
        return self.is_service or self.subject == owner


class ObjectRef(Struct, frozen=True):
    """Where an object is: a bucket and a key in it."""

    bucket: str
    key: str


class UploadStatus(StrEnum):
    """How far an upload is, as the wire says it."""

    PENDING = "pending"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    READY = "ready"
    EXPIRED = "expired"
    DELETED = "deleted"


class Evidence(StrEnum):
    """What proves that an object has the SHA-256 its client declared.

    ``STORE``: the store returned the same checksum. ``UPLOAD``: the upload URL signed the checksum, and the store is
    known to refuse other bytes (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
    """

    STORE = "store"
    UPLOAD = "upload"


class FileSpec(Struct, frozen=True):
    """What a client declared, after every rule was checked and every form made canonical.

    ``sha256`` and ``md5`` are raw digests.
    """

    filename: str
    media_type: MediaType
    size: int
    sha256: bytes | None = None
    md5: bytes | None = None


class Multipart(Struct, frozen=True):
    """An upload in parts: the store's own id of it, and the bytes of every part but the last."""

    s3_upload_id: str
    part_size: int


class Upload(Struct, frozen=True):
    """One upload as its upload_id carries it: what was promised, by whom, until when, and whether it comes in parts."""

    uuid: str
    owner: str
    file: FileSpec
    expires_at: int
    multipart: Multipart | None = None

    def is_expired(self, now: float) -> bool:
        """Whether it is too late to confirm it."""
        return now >= self.expires_at


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is stored, as ListParts says it. ``etag`` is without its quotes."""

    number: int
    size: int
    etag: str


class PresignedRequest(Struct, frozen=True):
    """A request that whoever holds it may send to the store until ``expires_at``."""

    method: str
    url: str
    headers: Mapping[str, str]
    expires_at: int


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store says of an object. ``etag`` is without its quotes; metadata names are lower case.

    ``sha256`` is the raw checksum that the store returned, if it was requested and there is one. An object with a
    ``content_encoding`` has a size and an ETag only as far as the store says them: nothing may rest on either.
    """

    size: int
    content_type: str
    etag: str
    last_modified: int
    metadata: Mapping[str, str]
    sha256: bytes | None = None
    content_encoding: str = ""


class ObjectHead(NamedTuple):
    """One look at an object: what is stored, and its first bytes."""

    stored: StoredObject
    data: bytes


@dataclass(frozen=True, slots=True)
class CopiedObject:
    """What CopyObject says of the new object."""

    etag: str
    last_modified: int


class OpenMultipart(NamedTuple):
    """A multipart upload under way, as ListMultipartUploads says it; ``initiated`` is 0 if the store does not."""

    key: str
    s3_upload_id: str
    initiated: int


@dataclass(frozen=True, slots=True)
class TrackReady:
    """A confirmed upload: the object is where no client can write, and stays as it is.

    ``sha256`` is the raw digest, only ever together with the ``evidence`` for it.
    """

    upload: Upload
    key: str
    etag: str
    confirmed_at: int
    sha256: bytes | None = None
    evidence: Evidence | None = None
