"""JSON on the wire and the model behind it: request shapes in, answer documents out.

Requests are closed: a field that is not listed is refused. Answers say times in RFC 3339 UTC and sizes in bytes.
"""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from broker.core.disposition import Disposition
from broker.core.policy import Declaration
from broker.errors import BrokerError
from broker.service.downloads import Link
from broker.service.objects import ReadyObject
from broker.service.uploads import ConfirmedUpload, CreatedUpload, Progress

BATCH_MAX = 100
"""Files or uploads in one call."""

KEYS_MAX = 1000
"""Keys in one call."""

NO_STORE = {
    "Cache-Control": "no-store",
    "Vary": "Authorization",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer carries that may hold a URL or what is one principal's (RFC 9111)."""

_encode = msgspec.json.Encoder().encode

Tickets = Annotated[list[str], msgspec.Meta(min_length=1, max_length=BATCH_MAX)]
Keys = Annotated[list[str], msgspec.Meta(min_length=1, max_length=KEYS_MAX)]


class _Request(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """The base of all request documents."""


class FileIn(_Request, frozen=True):
    """One file that a client wants to upload."""

    filename: str
    content_type: str
    size: int
    sha256: str | None = None
    md5: str | None = None

    def declaration(self) -> Declaration:
        """The same in the words of the policy."""
        return Declaration(self.filename, self.content_type, self.size, self.sha256, self.md5)


class FilesIn(_Request, frozen=True):
    """Several files at once."""

    files: Annotated[list[FileIn], msgspec.Meta(min_length=1, max_length=BATCH_MAX)]


class ConfirmIn(_Request, frozen=True):
    """Confirming one upload says nothing more than its id does."""


class ConfirmsIn(_Request, frozen=True):
    """Several uploads to confirm."""

    upload_ids: Tickets


class KeysIn(_Request, frozen=True):
    """Objects to delete."""

    keys: Keys


class LinksIn(_Request, frozen=True):
    """Objects to link to."""

    keys: Keys
    expires_in: int | None = None
    disposition: Disposition | None = None


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer that no cache keeps, unless ``headers`` say otherwise."""
    return Response(_encode(document), status, {**NO_STORE, **(headers or {})}, "application/json")


def created(upload: CreatedUpload) -> dict[str, Any]:
    """The answer to a create."""
    request = upload.request
    return {
        "uploadId": upload.ticket,
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "size": upload.size,
        "expiresAt": instant(request.expires_at),
    }


def progress(ticket: str, state: Progress) -> dict[str, Any]:
    """The answer to a look at an upload."""
    document = {
        "uploadId": ticket,
        "status": state.status,
        "size": state.size,
        "uploadedBytes": state.uploaded_bytes,
    }
    return {**document, "key": state.key} if state.key else document


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
        "sha256": base64.b64encode(file.sha256).decode() if file.sha256 else None,
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


def deleted(outcomes: dict[str, bool]) -> dict[str, Any]:
    """The answer to a bulk delete."""
    return {"results": [{"key": key, "status": "deleted" if gone else "failed"} for key, gone in outcomes.items()]}


def instant(epoch: int) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
