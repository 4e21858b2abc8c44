"""The JSON documents of Uppy's S3 routes, with the names that Companion gave to their members.

Requests are closed, except for the metadata of a file: an application chooses its members.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType, field

from broker.core.limits import PARTS_MAX

_PART_NUMBER = Annotated[int, Meta(ge=1, le=PARTS_MAX)]

ETAG_MAX: Final = 128
"""Maximum length of an ETag in characters."""


class UppyFile(Struct, forbid_unknown_fields=True, frozen=True):
    """A file to upload in parts."""

    filename: str
    type: str | None = None
    metadata: dict[str, Any] | None = None


class UppyPart(Struct, frozen=True):
    """A part that a client has sent. The broker reads the parts from the store, so that a wrong one has no effect."""

    number: _PART_NUMBER = field(name="PartNumber")
    etag: Annotated[str, Meta(max_length=ETAG_MAX)] = field(name="ETag")


class UppyParts(Struct, forbid_unknown_fields=True, frozen=True):
    """The parts of a completion."""

    parts: Annotated[list[UppyPart], Meta(max_length=PARTS_MAX)]


class UppyRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, rename="camel"):
    """A request to the store that Uppy 6 wants to send. ``size`` and ``part_size`` are bytes."""

    method: str
    key: str
    upload_id: str | None = None
    part_number: int | None = None
    content_type: str | None = None
    expires_in: int | None = None
    size: int | None = None
    part_size: int | None = None
    sha256: str | None = None
    md5: str | None = None


class UppyPut(Struct, frozen=True, kw_only=True):
    """A PUT of a whole file. Uppy copies the key and the bucket from ``fields``; ``expires`` is in seconds."""

    method: str = "PUT"
    url: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]
    expires: int


class UppyUpload(Struct, frozen=True, rename="camel"):
    """A new upload in parts."""

    key: str
    upload_id: str
    bucket: str


class UppyStoredPart(Struct, frozen=True):
    """A part that the store has; its ETag is in quotes."""

    number: int = field(name="PartNumber")
    size: int = field(name="Size")
    etag: str = field(name="ETag")


class UppySignedPart(Struct, frozen=True):
    """The URL of a part. ``expires`` is in seconds: Uppy makes it the timeout of the PUT."""

    url: str
    expires: int


class UppySignedParts(Struct, frozen=True, rename="camel"):
    """The URLs of several parts by their numbers."""

    presigned_urls: Mapping[str, str]


class UppyCompleted(Struct, frozen=True, kw_only=True, rename="camel"):
    """A completed upload. It has a ``receipt`` once ``status`` is ``ready``.

    Other values of ``status``: ``promoting``, while the broker copies a checked file, and ``pending``, if the store did
    not respond. Then the upload must be confirmed.
    """

    location: str
    key: str
    bucket: str
    upload_id: str
    status: str
    receipt: str | UnsetType = UNSET
    url: str | UnsetType | None = UNSET
    size: int | UnsetType = UNSET
    content_type: str | UnsetType = UNSET


class UppySigned(Struct, frozen=True, kw_only=True, rename="camel"):
    """The URL of a request of Uppy 6, with the header fields that it must have."""

    url: str
    key: str
    upload_id: str
    headers: Mapping[str, str]


class Session(Struct, frozen=True, rename="camel"):
    """A session: ``endpoint`` is the ``companionEndpoint`` of Uppy 6."""

    endpoint: str
    expires_at: str
