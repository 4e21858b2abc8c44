"""JSON on the wire and the model behind it: request shapes in, answer documents out.

Requests are closed: a field that is not listed is refused. Answers say times in RFC 3339 UTC and sizes in bytes.
"""

import base64
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.core.disposition import Disposition
from broker.core.model import Upload, UploadStatus
from broker.core.upload_rules import Declaration
from broker.error_texts import Rule
from broker.errors import BrokerError, Fault, InvalidRequestError, about
from broker.service.confirmation import Confirmation, ConfirmedUpload
from broker.service.downloads import Link
from broker.service.multipart import MAX_CONCURRENCY, PresignedParts, plan_of
from broker.service.objects import ReadyObject
from broker.service.uploads import CreatedUpload, UploadState

BATCH_MAX = 100
"""Files or uploads in one call."""

KEYS_MAX = 1000
"""KeySource in one call."""

PART_NUMBERS_MAX = 1000
"""Parts in one call."""

NO_STORE = {"Cache-Control": "no-store", "Vary": "Authorization"}
"""What every answer carries that may hold a URL or what is one principal's (RFC 9111)."""

_JSON: Final = (b"content-type", b"application/json")

ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
"""What every answer carries: it is of the type it says, and its URL is told to nobody."""

_encode = msgspec.json.Encoder().encode

Field = tuple[bytes, bytes]
"""A header field, its name in lower case: what ASGI takes."""

UploadIds = Annotated[list[str], msgspec.Meta(min_length=1, max_length=BATCH_MAX)]
KeySource = Annotated[list[str], msgspec.Meta(min_length=1, max_length=KEYS_MAX)]


class _Request(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """The base of all request documents."""


class FilesIn(_Request, frozen=True):
    """Several files at once."""

    files: Annotated[list[Declaration], msgspec.Meta(min_length=1, max_length=BATCH_MAX)]


class PartsIn(_Request, frozen=True):
    """Parts to sign, one by one."""

    part_numbers: Annotated[list[int], msgspec.Meta(min_length=1, max_length=PART_NUMBERS_MAX)]

    def numbers(self) -> Sequence[int]:
        """The part numbers."""
        return self.part_numbers


class PartRangeIn(_Request, frozen=True):
    """Parts to sign, from one to another, both included."""

    from_: int = msgspec.field(name="from")
    to: int

    def numbers(self) -> Sequence[int]:
        """The part numbers; raises ``InvalidRequestError`` when there are none, or too many."""
        if not 0 <= self.to - self.from_ < PART_NUMBERS_MAX:
            raise about(InvalidRequestError, Fault("/to", Rule.PART_RANGE.format(limit=PART_NUMBERS_MAX - 1)))
        return range(self.from_, self.to + 1)


class ConfirmIn(_Request, frozen=True):
    """Confirming one upload says nothing more than its id does."""


class ConfirmsIn(_Request, frozen=True):
    """Several uploads to confirm."""

    upload_ids: UploadIds


class KeysIn(_Request, frozen=True):
    """Objects to delete."""

    keys: KeySource


class LinksIn(_Request, frozen=True):
    """Objects to link to."""

    keys: KeySource
    expires_in: int | None = None
    disposition: Disposition | None = None


class _JsonAnswer(Response):
    """A response whose header fields are bytes from the start."""

    def __init__(self, body: bytes, status: int, fields: list[Field]) -> None:
        self.body, self.status_code, self.raw_headers, self.background = body, status, fields, None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def json_response(
    document: Any,
    status: int = 200,
    *more: Field,
    cache_control: bytes = b"no-store",
    vary: bytes = b"Authorization",
) -> Response:
    """A JSON answer with ``more`` header fields. No cache keeps it, unless it is told to."""
    body = _encode(document)
    length = (b"content-length", b"%d" % len(body))
    return _JsonAnswer(body, status, [_JSON, length, (b"cache-control", cache_control), (b"vary", vary), *more])


def created(made: CreatedUpload) -> dict[str, Any]:
    """The answer to a create."""
    request = made.request
    if request is None:
        return _created_in_parts(made.upload_id, made.upload)
    return {
        "uploadId": made.upload_id,
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "size": made.upload.file.size,
        "expiresAt": instant(request.expires_at),
    }


def _created_in_parts(upload_id: str, upload: Upload) -> dict[str, Any]:
    plan, _ = plan_of(upload)
    return {
        "uploadId": upload_id,
        "method": "MULTIPART",
        "size": plan.size,
        "partSize": plan.part_size,
        "partCount": plan.count,
        "maxConcurrency": MAX_CONCURRENCY,
        "expiresAt": instant(upload.expires_at),
    }


def presigned_parts(signed: PresignedParts) -> dict[str, Any]:
    """The answer to a wish for parts. Of the headers only Content-Length is signed, which HTTP clients set."""
    parts = [{"partNumber": part.number, "url": part.url, "size": part.size, "headers": {}} for part in signed.parts]
    return {"parts": parts, "expiresAt": instant(signed.expires_at)}


def progress(upload_id: str, state: UploadState) -> dict[str, Any]:
    """The answer to a look at an upload; the parts are listed as long as they are not joined."""
    document: dict[str, Any] = {
        "uploadId": upload_id,
        "status": state.status,
        "size": state.upload.file.size,
        "uploadedBytes": state.uploaded_bytes,
    }
    if state.key:
        document["key"] = state.key
    if state.upload.multipart:
        document["partSize"] = state.upload.multipart.part_size
    if state.upload.multipart and state.status in (UploadStatus.PENDING, UploadStatus.UPLOADING):
        document["parts"] = [{"partNumber": part.number, "size": part.size, "etag": part.etag} for part in state.parts]
    return document


def confirmation(upload_id: str, outcome: Confirmation) -> dict[str, Any]:
    """The answer to a confirm: track-ready, or how far a large object's promotion is."""
    if isinstance(outcome, ConfirmedUpload):
        return confirmed(outcome)
    return {"uploadId": upload_id, "status": "promoting", "size": outcome.size, "promotedBytes": outcome.copied}


def confirmed(upload: ConfirmedUpload) -> dict[str, Any]:
    """The track-ready answer."""
    track, file = upload.track, upload.track.upload.file
    return {
        "key": track.key,
        "status": "ready",
        "filename": file.filename,
        "size": file.size,
        "contentType": file.content_type,
        "etag": track.etag,
        "sha256": base64.b64encode(track.sha256).decode() if track.sha256 else None,
        "sha256Evidence": track.evidence,
        "owner": track.upload.owner,
        "url": upload.url,
        "confirmedAt": instant(track.confirmed_at),
        "receipt": upload.receipt,
    }


def ready_object(found: ReadyObject) -> dict[str, Any]:
    """The answer to a look at an object."""
    return {
        "key": found.key,
        "size": found.stored.size,
        "contentType": found.stored.content_type,
        "etag": found.stored.etag,
        "lastModified": instant(found.stored.last_modified),
        "owner": found.owner,
        "filename": found.filename,
        "url": found.url,
    }


def link(signed: Link) -> dict[str, Any]:
    """The answer to a download."""
    return {"key": signed.key, "url": signed.url, "expiresAt": instant(signed.expires_at)}


def deleted(keys: Sequence[str], failed: Container[str]) -> dict[str, Any]:
    """The answer to a bulk delete, one result for each of ``keys`` that are not the same."""
    unique = dict.fromkeys(keys)
    return {"results": [{"key": key, "status": "failed" if key in failed else "deleted"} for key in unique]}


@lru_cache(maxsize=8)
def instant(epoch: int) -> str:
    """RFC 3339 in UTC, to the second."""
    return f"{datetime.fromtimestamp(epoch, UTC).isoformat()[:19]}Z"


def problem(error: BrokerError, request_id: str) -> dict[str, Any]:
    """An RFC 9457 problem; ``error`` and ``message`` repeat it under the names JamSync's and Uppy's clients read."""
    document = {
        "type": f"urn:problem-type:r2-upload-broker:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "requestId": request_id,
        "error": error.title,
        "message": error.detail,
    }
    if error.faults:
        document["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
    return document
