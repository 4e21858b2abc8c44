"""The responses to Uppy 6's requests about an upload in parts, in S3's XML, and to those of better-upload's client.

The body of a completion is not parsed: the broker reads the parts from the store.
"""

import html
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from broker.core.model import Principal
from broker.errors import BrokerError, StorageUnavailableError
from broker.service.assembly import Services
from broker.service.confirmation import Confirmation, ConfirmedUpload
from broker.service.rate_limit import Cost

from . import request_record
from .authentication import PublicHandler
from .body import read_any
from .query import parameters
from .responses import NO_STORE
from .uppy_endpoints import PARTS_BODY_MAX

XML: Final = "application/xml"
"""The media type; Uppy reads the XML of an error only with exactly this one."""


def with_xml_errors(handler: PublicHandler) -> PublicHandler:
    """Return ``handler`` with errors in S3's XML."""

    async def handled(request: Request) -> Response:
        try:
            return await handler(request)
        except BrokerError as error:
            request_record.add_error(request.scope, error)
            members = {
                "Code": error.code,
                "Message": error.detail,
                "RequestId": request_record.request_id(request.scope),
            }
            return _document("Error", members, error.status, error.headers)

    return handled


async def create(services: Services, request: Request, principal: Principal) -> Response:
    """Return the upload id of an upload that the presigning has created."""
    await _read(request)
    upload_id, key = _upload(services, request, principal)
    return _document(
        "InitiateMultipartUploadResult",
        {"Bucket": services.uploads.layout.bucket, "Key": key, "UploadId": upload_id},
    )


async def list_parts(services: Services, request: Request, principal: Principal) -> Response:
    """Return the stored parts."""
    parameters(request)
    upload_id, key = _upload(services, request, principal)
    await services.rate_limit.spend_more(principal, Cost.UPLOAD_STATUS)
    parts = await services.companion.list_parts(principal, upload_id, key)
    items = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{html.escape(part.etag, quote=False)}&quot;</ETag>"
        f"<Size>{part.size}</Size></Part>"
        for part in parts
    )
    members = {"Bucket": services.uploads.layout.bucket, "Key": key, "UploadId": upload_id, "IsTruncated": "false"}
    return _document("ListPartsResult", members, more=items)


async def complete(services: Services, request: Request, principal: Principal) -> Response:
    """Confirm an upload, and return its track-ready key."""
    await _read(request)
    upload_id, key = _upload(services, request, principal)
    outcome = _checked(await services.companion.complete(principal, upload_id, key, until=request.state.until))
    etag = outcome.track.etag if isinstance(outcome, ConfirmedUpload) else ""
    members = {"Location": services.companion.location_of(key), "Bucket": services.uploads.layout.bucket, "Key": key}
    return _document("CompleteMultipartUploadResult", {**members, **({"ETag": f'"{etag}"'} if etag else {})})


async def abort(services: Services, request: Request, principal: Principal) -> Response:
    """Delete an upload, unless all its bytes are stored."""
    parameters(request)
    upload_id, key = _upload(services, request, principal)
    await services.rate_limit.spend_more(principal, Cost.UPLOAD_STATUS + Cost.DELETE)
    await services.companion.abort(principal, upload_id, key)
    return Response(status_code=204, headers=NO_STORE)


def _checked(outcome: Confirmation | None) -> Confirmation:
    """Return the outcome; raise ``StorageUnavailableError`` if nothing was checked, for which S3 has no document."""
    if outcome is None:
        raise StorageUnavailableError("the store did not respond until the completion had to end")
    return outcome


def _upload(services: Services, request: Request, principal: Principal) -> tuple[str, str]:
    """Return the upload id in the path, and the key of its upload."""
    upload_id = request.path_params["upload_id"]
    return upload_id, services.companion.key_of(services.companion.find(principal, upload_id))


async def _read(request: Request) -> None:
    """Read the body, which has no effect, so that the connection can be used again."""
    parameters(request)
    await read_any(request, limit=PARTS_BODY_MAX)


def _document(
    name: str, members: dict[str, str], status: int = 200, headers: object = None, *, more: str = ""
) -> Response:
    inner = "".join(f"<{member}>{html.escape(value, quote=False)}</{member}>" for member, value in members.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inner}{more}</{name}>'
    fields = {**NO_STORE, **(headers if isinstance(headers, dict) else {})}
    return Response(body, status, fields | {"Content-Type": XML})
