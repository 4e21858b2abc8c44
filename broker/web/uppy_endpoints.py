"""The S3 routes of Companion, as @uppy/aws-s3 calls them: below ``/s3``, and below ``/c/{token}/s3`` for Uppy 6.

A completion confirms the upload. It responds with an error only if no repetition can succeed.
"""

from typing import Final, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from broker.core.limits import PARTS_MAX
from broker.core.model import PresignedRequest, Principal
from broker.error_texts import Rule
from broker.service.assembly import Services
from broker.service.companion import WantedFile
from broker.service.confirmation import Confirmation, ConfirmedUpload
from broker.service.rate_limit import Cost
from broker.service.uploads import CreatedUpload

from .body import BODY_MAX, convert, parse, read, read_json, read_optional_json
from .query import invalid, parameters
from .representations import instant
from .responses import json_response
from .schemas import PART_NUMBERS_MAX, Empty
from .uppy_files import DIGITS, fields_named, file_of_query, wanted_file
from .uppy_schemas import (
    Session,
    UppyCompleted,
    UppyFile,
    UppyParts,
    UppyPut,
    UppySignedPart,
    UppySignedParts,
    UppyStoredPart,
    UppyUpload,
)

PARTS_BODY_MAX: Final = 2 * 1024 * 1024
"""Maximum bytes of the body of a completion: 10 000 parts with an ETag of the maximum length."""

_PARTS: Final = msgspec.json.Decoder(UppyParts)


def base_url(request: Request) -> str:
    """Return the URL of the broker without a slash at its end: that of the settings, or of the request."""
    return request.app.state.public_url or str(request.base_url).rstrip("/")


async def open_session(services: Services, request: Request, principal: Principal) -> Response:
    """Open a session, whose URL permits uploads of the principal without a bearer token."""
    parameters(request)
    convert(await read_optional_json(request), Empty)
    token, expires_at = services.companion.open_session(principal)
    return json_response(Session(f"{base_url(request)}/c/{token}", instant(expires_at)))


async def params(services: Services, request: Request, principal: Principal) -> Response:
    """Presign the PUT of a whole file."""
    with fields_named():
        created, put = await create_put(services, principal, file_of_query(request))
    key, bucket = services.companion.key_of(created.upload), services.uploads.layout.bucket
    return json_response(
        UppyPut(
            url=put.url,
            fields={"key": key, "bucket": bucket, "uploadId": created.upload_id},
            headers=put.headers,
            expires=services.uploads.policy.url_lifetime,
        )
    )


async def create_put(
    services: Services, principal: Principal, wanted: WantedFile
) -> tuple[CreatedUpload, PresignedRequest]:
    """Create an upload of a whole file; return it with its PUT."""
    accepted = services.companion.accept(wanted)
    (created,) = await services.companion.create(principal, [accepted])
    return created, cast("PresignedRequest", created.request)


async def create_in_parts(services: Services, principal: Principal, wanted: WantedFile) -> CreatedUpload:
    """Create an upload in parts."""
    accepted = services.companion.accept(wanted)
    await services.rate_limit.spend_more(principal, Cost.CREATE_IN_PARTS)
    (created,) = await services.companion.create(principal, [accepted])
    return created


async def create(services: Services, request: Request, principal: Principal) -> Response:
    """Create an upload in parts."""
    parameters(request)
    file = convert(await read_json(request), UppyFile)
    wanted = wanted_file(file.filename, file.type, file.metadata or {}, in_parts=True)
    with fields_named():
        created = await create_in_parts(services, principal, wanted)
    key = services.companion.key_of(created.upload)
    return json_response(UppyUpload(key, created.upload_id, services.uploads.layout.bucket))


async def list_parts(services: Services, request: Request, principal: Principal) -> Response:
    """Return the stored parts as an array."""
    key = _key(request)
    await services.rate_limit.spend_more(principal, Cost.UPLOAD_STATUS)
    parts = await services.companion.list_parts(principal, request.path_params["upload_id"], key)
    return json_response([UppyStoredPart(part.number, part.size, f'"{part.etag}"') for part in parts])


async def sign_part(services: Services, request: Request, principal: Principal) -> Response:
    """Presign the PUT of one part."""
    key, numbers = _key(request), _part_numbers(request.path_params["number"])
    signed = services.companion.presign_parts(principal, request.path_params["upload_id"], key, numbers)
    return json_response(UppySignedPart(signed.parts[0].url, signed.expires_at - int(services.companion.clock())))


async def sign_parts(services: Services, request: Request, principal: Principal) -> Response:
    """Presign the PUTs of several parts, as Uppy 2 requests them."""
    given = parameters(request, "key", "partNumbers")
    texts = given.get("partNumbers", "").split(",")
    if len(texts) > PART_NUMBERS_MAX:
        raise invalid("partNumbers", Rule.ITEMS_MAX.format(limit=PART_NUMBERS_MAX))
    key, numbers = given.get("key", ""), _part_numbers(*texts)
    signed = services.companion.presign_parts(principal, request.path_params["upload_id"], key, numbers)
    return json_response(UppySignedParts({str(part.number): part.url for part in signed.parts}))


async def complete(services: Services, request: Request, principal: Principal) -> Response:
    """Confirm an upload, and return its track-ready key and receipt."""
    key = _key(request)
    _check_parts(await read(request, limit=PARTS_BODY_MAX))
    upload_id = request.path_params["upload_id"]
    outcome = await services.companion.complete(principal, upload_id, key, until=request.state.until)
    return json_response(completed(services, upload_id, key, outcome))


async def abort(services: Services, request: Request, principal: Principal) -> Response:
    """Delete an upload, unless all its bytes are stored."""
    key = _key(request)
    await services.rate_limit.spend_more(principal, Cost.UPLOAD_STATUS + Cost.DELETE)
    await services.companion.abort(principal, request.path_params["upload_id"], key)
    return json_response({})  # Uppy 4 and 5 read the body of every success as JSON


def completed(services: Services, upload_id: str, key: str, outcome: Confirmation | None) -> UppyCompleted:
    """Represent the outcome of a completion."""
    location, bucket = services.companion.location_of(key), services.uploads.layout.bucket
    if not isinstance(outcome, ConfirmedUpload):
        status = "promoting" if outcome else "pending"
        return UppyCompleted(location=location, key=key, bucket=bucket, upload_id=upload_id, status=status)
    file = outcome.track.upload.file
    return UppyCompleted(
        location=location,
        key=key,
        bucket=bucket,
        upload_id=upload_id,
        status="ready",
        receipt=outcome.receipt,
        url=outcome.url,
        size=file.size,
        content_type=file.media_type.name,
    )


def _check_parts(data: bytes) -> None:
    """Raise the error of an invalid completion; a long one is decoded without the cost of ``parse``."""
    if len(data) <= BODY_MAX:
        convert(parse(data), UppyParts)
        return
    try:
        _PARTS.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid("parts", Rule.INVALID) from None


def _part_numbers(*texts: str) -> list[int]:
    """Return the part numbers in a path or a query; raise ``InvalidRequestError``."""
    numbers = [int(text) if DIGITS.fullmatch(text) else 0 for text in texts]
    if not all(1 <= number <= PARTS_MAX for number in numbers):
        raise invalid("partNumbers", Rule.PART_NUMBER)
    return numbers


def _key(request: Request) -> str:
    """Return the key of a request; without one it is empty, which is not the key of an upload."""
    return parameters(request, "key").get("key", "")
