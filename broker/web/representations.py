"""The JSON documents that represent what the use cases return."""

import base64
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import UNSET
from msgspec.structs import replace

from broker.core.model import Upload, UploadStatus
from broker.errors import BrokerError
from broker.service.confirmation import Confirmation, ConfirmedUpload
from broker.service.downloads import Link
from broker.service.multipart import MAX_CONCURRENCY, PresignedParts, plan_of
from broker.service.objects import FoundObject
from broker.service.uploads import CreatedUpload, Progress

from . import schemas


def created(made: CreatedUpload) -> schemas.CreateResult:
    """Represent a new upload."""
    request = made.request
    if request is None:
        return _created_multipart(made.upload_id, made.upload)
    return schemas.PutUpload(
        made.upload_id,
        request.method,
        request.url,
        request.headers,
        made.upload.file.size,
        instant(request.expires_at),
    )


def _created_multipart(upload_id: str, upload: Upload) -> schemas.MultipartUpload:
    plan, _ = plan_of(upload)
    return schemas.MultipartUpload(
        upload_id, plan.size, plan.part_size, plan.count, MAX_CONCURRENCY, instant(upload.expires_at)
    )


def presigned_parts(presigned: PresignedParts) -> schemas.SignedParts:
    """Represent presigned parts. Their URLs sign only Content-Length, which HTTP clients set themselves."""
    parts = [schemas.SignedPart(part.number, part.url, part.size, {}) for part in presigned.parts]
    return schemas.SignedParts(parts, instant(presigned.expires_at))


def progress(upload_id: str, made: Progress) -> schemas.UploadProgress:
    """Represent the progress of an upload."""
    multipart = made.upload.multipart
    is_open = made.status in (UploadStatus.PENDING, UploadStatus.UPLOADING)
    return schemas.UploadProgress(
        upload_id,
        made.status,
        made.upload.file.size,
        made.uploaded_bytes,
        key=made.key or UNSET,
        part_size=multipart.part_size if multipart else UNSET,
        parts=_stored_parts(made) if multipart and is_open else UNSET,
    )


def _stored_parts(made: Progress) -> list[schemas.StoredPart]:
    return [schemas.StoredPart(part.number, part.size, part.etag) for part in made.parts]


def confirmation(upload_id: str, outcome: Confirmation) -> schemas.ConfirmResult:
    """Represent a confirm: the track-ready document, or the progress of a large object's promotion."""
    if isinstance(outcome, ConfirmedUpload):
        return track_ready(outcome)
    return schemas.PromotingUpload(upload_id, outcome.size, outcome.copied)


def track_ready(confirmed: ConfirmedUpload) -> schemas.TrackReady:
    """Represent a confirmed upload."""
    track, file = confirmed.track, confirmed.track.upload.file
    return schemas.TrackReady(
        key=track.key,
        filename=file.filename,
        size=file.size,
        content_type=file.media_type.name,
        etag=track.etag,
        sha256=base64.b64encode(track.sha256).decode() if track.sha256 else None,
        sha256_evidence=track.evidence,
        owner=track.upload.owner,
        url=confirmed.url,
        confirmed_at=instant(track.confirmed_at),
        receipt=confirmed.receipt,
    )


def confirm_results(
    upload_ids: Sequence[str], outcomes: Sequence[Confirmation | BrokerError], request_id: str
) -> schemas.ConfirmResults:
    """Represent the outcomes of a batch confirm."""
    pairs = zip(upload_ids, outcomes, strict=True)
    return schemas.ConfirmResults([_confirm_result(upload_id, outcome, request_id) for upload_id, outcome in pairs])


def _confirm_result(upload_id: str, outcome: Confirmation | BrokerError, request_id: str) -> schemas.BatchConfirmResult:
    if isinstance(outcome, BrokerError):
        return schemas.FailedUpload(upload_id, problem(outcome, request_id))
    return replace(confirmation(upload_id, outcome), upload_id=upload_id)


def ready_object(found: FoundObject) -> schemas.ReadyObject:
    """Represent a ready object."""
    return schemas.ReadyObject(
        found.key,
        found.stored.size,
        found.stored.content_type,
        found.stored.etag,
        instant(found.stored.last_modified),
        found.owner,
        found.filename,
        found.url,
    )


def download(link: Link) -> schemas.DownloadLink:
    """Represent a presigned download link."""
    return schemas.DownloadLink(link.key, link.url, instant(link.expires_at))


def delete_results(keys: Sequence[str], failed: Container[str]) -> schemas.DeleteResults:
    """Represent a bulk delete: one result for each different key."""
    unique = dict.fromkeys(keys)
    return schemas.DeleteResults(
        [schemas.DeleteResult(key, "failed" if key in failed else "deleted") for key in unique]
    )


@lru_cache(maxsize=8)
def instant(epoch: int) -> str:
    """Return the RFC 3339 form, in UTC, of the seconds since the Unix epoch."""
    return f"{datetime.fromtimestamp(epoch, UTC).isoformat()[:19]}Z"


def problem(error: BrokerError, request_id: str) -> schemas.Problem:
    """Represent an error as a problem document."""
    return schemas.Problem(
        type=f"urn:problem-type:r2-upload-broker:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.code,
        request_id=request_id,
        error=error.title,
        message=error.detail,
        errors=[schemas.FieldError(fault.pointer, fault.detail) for fault in error.faults] or UNSET,
    )
