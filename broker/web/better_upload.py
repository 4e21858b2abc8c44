"""``POST /api/upload``: the route of better-upload's client, for the route names of the deployment.

Rules of this module
- Every file is sent in parts, also a small one: then the client ends with a completion, which confirms the upload, and
  a repeated PUT of a part succeeds, where that of a whole file is refused (412).
- The client gets the URLs of all parts at once, and cannot renew them. So parts are as large as a limit on their number
  requires.
- Its completion and its abort have no header fields: their URLs have a capability for this upload alone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from broker.core.limits import MIB, PUT_MAX
from broker.core.model import Principal
from broker.core.parts import PREFERRED_PART_SIZE
from broker.core.upload_rules import Accepted
from broker.error_codes import Code
from broker.error_texts import Rule
from broker.errors import BrokerError
from broker.service.assembly import Services
from broker.service.companion import WantedFile
from broker.service.multipart import plan_of
from broker.service.rate_limit import Cost
from broker.service.uploads import CreatedUpload

from . import representations, request_record
from .authentication import PublicHandler
from .body import convert, read_json
from .query import invalid, parameters
from .responses import NO_STORE, json_response
from .schemas import BATCH_MAX
from .uppy_endpoints import base_url
from .uppy_files import fields_named

PARTS_MAX: Final = 1000
"""Number of parts of all files together from which parts become larger."""

_POINTERS: Final = {"/filename": "/name", "/contentType": "/type"}
_ERROR_TYPES: Final = {Code.TOO_LARGE: "file_too_large", Code.UNSUPPORTED_TYPE: "invalid_file_type"}
"""The types of errors that the client names; it calls all others invalid requests."""


class BetterFile(Struct, forbid_unknown_fields=True, frozen=True):
    """A file to upload; its size is in bytes."""

    name: str
    size: int
    type: str


class BetterUpload(Struct, frozen=True):
    """The files to upload by one route. The client may add members in later versions."""

    route: str
    files: Annotated[list[BetterFile], Meta(min_length=1, max_length=BATCH_MAX)]
    metadata: Any = None


class BetterUploadId(Struct, frozen=True, rename="camel"):
    """The track-ready key and the upload id of a created upload."""

    key: str
    upload_id: str


class BetterUploadMetadata(Struct, frozen=True):
    """What the client returns to the application besides the files."""

    uploads: Sequence[BetterUploadId]


class BetterUploadParts(Struct, frozen=True, rename="camel"):
    """The files with the URLs of all their requests; all of them have parts of ``part_size`` bytes."""

    part_size: int
    files: Sequence[Mapping[str, Any]]


class BetterUploads(Struct, frozen=True):
    """The created uploads of one request."""

    multipart: BetterUploadParts
    metadata: BetterUploadMetadata


def with_error_object(handler: PublicHandler) -> PublicHandler:
    """Return ``handler`` with problem documents whose ``error`` is an object, as this client reads it."""

    async def handled(request: Request) -> Response:
        try:
            return await handler(request)
        except BrokerError as error:
            request_record.add_error(request.scope, error)
            problem = msgspec.to_builtins(representations.problem(error, request_record.request_id(request.scope)))
            kind = _ERROR_TYPES.get(error.code, "invalid_request" if error.status < 500 else "unknown")
            body = msgspec.json.encode({**problem, "error": {"type": kind, "message": error.detail}})
            return Response(body, error.status, {**NO_STORE, **error.headers}, "application/problem+json")

    return handled


async def create(services: Services, request: Request, principal: Principal) -> Response:
    """Create an upload in parts for each file, and presign all its requests."""
    parameters(request)
    wanted = convert(await read_json(request), BetterUpload)
    if wanted.route not in request.app.state.upload_routes:
        raise invalid("route", Rule.ROUTE)
    part_size = _part_size(wanted.files)
    accepted = [_accept(services, file, index, part_size) for index, file in enumerate(wanted.files)]
    await services.rate_limit.spend_more(principal, len(accepted) * (1 + Cost.CREATE_IN_PARTS) - 1)
    created = await services.companion.create(principal, accepted)
    base = base_url(request)
    files = []
    for upload, file in zip(created, wanted.files, strict=True):
        files.append(_upload(services, principal, base, upload, file))
        await asyncio.sleep(0)  # the signatures of many parts take milliseconds: other requests run in between
    ids = [BetterUploadId(services.companion.key_of(each.upload), each.upload_id) for each in created]
    return json_response(BetterUploads(BetterUploadParts(part_size, files), BetterUploadMetadata(ids)))


def _part_size(files: Sequence[BetterFile]) -> int:
    """Return the size of parts, in whole MiB, with which all files together have about ``PARTS_MAX`` parts."""
    total = sum(file.size for file in files)
    return min(PUT_MAX, max(PREFERRED_PART_SIZE, -(-total // (PARTS_MAX * MIB)) * MIB))


def _accept(services: Services, file: BetterFile, index: int, part_size: int) -> Accepted:
    wanted = WantedFile(filename=file.name, content_type=file.type, size=file.size, part_size=part_size)
    with fields_named(_POINTERS, f"/files/{index}"):
        return services.companion.accept(wanted)


def _upload(
    services: Services, principal: Principal, base: str, created: CreatedUpload, file: BetterFile
) -> Mapping[str, Any]:
    """Represent one upload with the URLs of all its requests."""
    upload, upload_id = created.upload, created.upload_id
    plan, _ = plan_of(upload)
    signed = services.uploads.presign_parts(principal, upload_id, plan.numbers())
    control = f"{base}/c/{services.companion.capability_of(upload)}/s3/xml/{upload_id}"
    key = services.companion.key_of(upload)
    return {
        "parts": [{"signedUrl": part.url, "partNumber": part.number, "size": part.size} for part in signed.parts],
        "uploadId": upload_id,
        "completeSignedUrl": f"{control}/complete",
        "abortSignedUrl": control,
        "file": {
            "name": file.name,
            "size": file.size,
            "type": file.type,
            "objectInfo": {"key": key, "metadata": {}, "cacheControl": None},
        },
    }
