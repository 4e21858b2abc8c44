"""The JSON documents of the API, one class for each schema of ``openapi.yaml`` and under its name.

A test compares each class with its schema. Requests are closed: a member that is not listed is refused. Times are
RFC 3339 in UTC, sizes are bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from broker.core.disposition import Disposition
from broker.core.model import UploadStatus
from broker.core.upload_rules import Declaration
from broker.error_texts import Rule
from broker.errors import Fault, InvalidRequestError, about

BATCH_MAX: Final = 100
"""Maximum number of files or uploads in one request."""

REQUEST_KEYS_MAX: Final = 1000
"""Maximum number of object keys in one request."""

PART_NUMBERS_MAX: Final = 1000
"""Maximum number of part numbers in one request."""


class _Request(Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """The base of all request documents."""


class NewUploads(_Request, frozen=True):
    """Several files to create uploads for."""

    files: Annotated[list[Declaration], Meta(min_length=1, max_length=BATCH_MAX)]


class SignParts(_Request, frozen=True):
    """Parts to presign: a list, or a range with both ends. An empty list means that it is left out."""

    part_numbers: Annotated[list[int], Meta(max_length=PART_NUMBERS_MAX)] | None = None
    from_: int | None = field(name="from", default=None)
    to: int | None = None

    def numbers(self) -> Sequence[int]:
        """Return the part numbers; raise ``InvalidRequestError`` if no parts are named, too many, or in both forms."""
        if self.part_numbers:
            if self.from_ is not None or self.to is not None:
                raise about(InvalidRequestError, Fault("/partNumbers", Rule.PARTS_IN_TWO_FORMS))
            return self.part_numbers
        if self.from_ is None and self.to is None:
            rule = Rule.REQUIRED if self.part_numbers is None else Rule.ITEMS_MIN
            raise about(InvalidRequestError, Fault("/partNumbers", rule))
        return self._range()

    def _range(self) -> Sequence[int]:
        if self.from_ is None or self.to is None:
            raise about(InvalidRequestError, Fault("/from" if self.from_ is None else "/to", Rule.REQUIRED))
        if not 0 <= self.to - self.from_ < PART_NUMBERS_MAX:
            raise about(InvalidRequestError, Fault("/to", Rule.PART_RANGE.format(limit=PART_NUMBERS_MAX - 1)))
        return range(self.from_, self.to + 1)


class Empty(_Request, frozen=True):
    """The body of a confirm, which has no members. ``openapi.yaml`` describes a confirm without a body."""


class UploadIds(_Request, frozen=True):
    """Several uploads to confirm."""

    upload_ids: Annotated[list[str], Meta(min_length=1, max_length=BATCH_MAX)]


class ObjectKeys(_Request, frozen=True):
    """Objects to delete."""

    keys: Annotated[list[str], Meta(min_length=1, max_length=REQUEST_KEYS_MAX)]


class CreateDownloads(_Request, frozen=True):
    """Objects to presign download links for; ``expires_in`` is in seconds."""

    keys: Annotated[list[str], Meta(min_length=1, max_length=REQUEST_KEYS_MAX)]
    expires_in: int | None = None
    disposition: Disposition | None = None


class _Response(Struct, rename="camel", frozen=True):
    """The base of all response documents."""


class PutUpload(_Response, frozen=True):
    """A created upload to send in one PUT; its ``method`` is PUT."""

    upload_id: str
    method: str
    url: str
    headers: Mapping[str, str]
    size: int
    expires_at: str


class MultipartUpload(_Response, frozen=True):
    """A created upload to send in parts."""

    upload_id: str
    size: int
    part_size: int
    part_count: int
    max_concurrency: int
    expires_at: str
    method: Literal["MULTIPART"] = "MULTIPART"


CreateResult = PutUpload | MultipartUpload
"""The result of a create; ``method`` tells which."""


class CreateResults(_Response, frozen=True):
    """The uploads of a batch, in the order of its files."""

    uploads: list[Any]  # of CreateResult; msgspec refuses to decode a union of Structs without tags


class SignedPart(_Response, frozen=True):
    """A part to send in one PUT of exactly ``size`` bytes."""

    part_number: int
    url: str
    size: int
    headers: Mapping[str, str]


class SignedParts(_Response, frozen=True):
    """Parts to send until ``expires_at``."""

    parts: list[SignedPart]
    expires_at: str


class StoredPart(_Response, frozen=True):
    """A part that the store has."""

    part_number: int
    size: int
    etag: str


class UploadProgress(_Response, frozen=True):
    """The progress of an upload; ``parts`` is present until the parts are joined."""

    upload_id: str
    status: UploadStatus
    size: int
    uploaded_bytes: int
    key: str | UnsetType = UNSET
    part_size: int | UnsetType = UNSET
    parts: list[StoredPart] | UnsetType = UNSET


class PromotingUpload(_Response, frozen=True):
    """A confirm that has more bytes to copy, and has to be repeated."""

    upload_id: str
    size: int
    promoted_bytes: int
    status: Literal["promoting"] = "promoting"


class TrackReady(_Response, frozen=True, kw_only=True):
    """A confirmed upload, with its key and its receipt; ``upload_id`` is present in the results of a batch."""

    upload_id: str | UnsetType = UNSET
    key: str
    status: Literal["ready"] = "ready"
    filename: str
    size: int
    content_type: str
    etag: str
    sha256: str | None
    sha256_evidence: str | None
    owner: str
    url: str | None
    confirmed_at: str
    receipt: str


class FailedUpload(_Response, frozen=True):
    """An upload of a batch that was not confirmed."""

    upload_id: str
    problem: "Problem"
    status: Literal["failed"] = "failed"


ConfirmResult = TrackReady | PromotingUpload
"""The result of a confirm; ``status`` tells which."""

BatchConfirmResult = ConfirmResult | FailedUpload
"""The result of one upload of a batch confirm; ``status`` tells which."""


class ConfirmResults(_Response, frozen=True):
    """The results of a batch confirm, in the order of the request."""

    results: list[Any]  # of BatchConfirmResult


class DeleteResult(_Response, frozen=True):
    """The result of a bulk delete for one key."""

    key: str
    status: Literal["deleted", "failed"]


class DeleteResults(_Response, frozen=True):
    """The results of a bulk delete, one for each different key."""

    results: list[DeleteResult]


class ReadyObject(_Response, frozen=True):
    """A ready object; ``owner`` and ``filename`` are ``None`` for one that is older than the broker."""

    key: str
    size: int
    content_type: str
    etag: str
    last_modified: str
    owner: str | None
    filename: str | None
    url: str | None


class FoundKey(_Response, frozen=True):
    """The key inside a URL."""

    key: str


class DownloadLink(_Response, frozen=True):
    """A presigned download link."""

    key: str
    url: str
    expires_at: str


class DownloadLinks(_Response, frozen=True):
    """Presigned download links, in the order of the request."""

    downloads: list[DownloadLink]


class StorageStatus(_Response, frozen=True):
    """Whether uploads are possible at all, in the form that JamSync's clients read, and the limits of uploads.

    ``types`` are the canonical names of the accepted media types.
    """

    r2_configured: bool
    provider: str
    max_bytes: int
    multipart_threshold: int
    types: Sequence[str]


class Health(_Response, frozen=True):
    """The state of a process that responds."""

    status: Literal["ok"] = "ok"


class Readiness(_Response, frozen=True):
    """Whether a process can do its whole job: ``ok`` or an error code for each check."""

    status: Literal["ready", "unready"]
    checks: Mapping[str, str]


class FieldError(_Response, frozen=True):
    """One fault of a request: an RFC 6901 JSON Pointer to the member, and the rule that it breaks."""

    pointer: str
    detail: str


class Problem(_Response, frozen=True):
    """An RFC 9457 problem; JamSync's and Uppy's clients read ``error`` and ``message`` instead of title and detail."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    error: str
    message: str
    errors: list[FieldError] | UnsetType = UNSET
