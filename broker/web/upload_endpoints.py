"""The endpoints of uploads: ``/api/v1/uploads`` and below."""

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from broker.core.model import Principal
from broker.core.strict_json import decode_plain
from broker.core.upload_rules import Accepted, Declaration
from broker.errors import BrokerError
from broker.service.assembly import Services
from broker.service.promotion import Promoting
from broker.service.rate_limit import Cost

from . import representations, request_record, schemas
from .body import convert, parse, read, read_json, read_optional_json
from .query import idempotency_key, parameters
from .responses import NO_STORE, json_response

CONFIRMS_BODY_MAX: Final = 512 * 1024
"""Maximum bytes of the body of a batch confirm: a hundred upload ids of the maximum length."""

PROMOTING_RETRY_AFTER: Final = b"1"
"""Seconds after which a client should repeat a confirm that has more to copy."""

T = TypeVar("T")

_FILE, _FILES = msgspec.json.Decoder(Declaration), msgspec.json.Decoder(schemas.NewUploads)


async def create(services: Services, request: Request, principal: Principal) -> Response:
    """Create an upload."""
    parameters(request)
    key = idempotency_key(request)
    file = _decoded(await read(request), _FILE)
    accepted = services.uploads.accept([file], batch=False)
    if extra := _store_cost(accepted, is_retry=key is not None):
        await services.rate_limit.spend_more(principal, extra)
    (made,) = await services.uploads.create(principal, accepted, idempotency_key=key)
    location = f"{request.scope['path']}/{made.upload_id}"
    return json_response(representations.created(made), 201, (b"location", location.encode()))


async def create_many(services: Services, request: Request, principal: Principal) -> Response:
    """Create an upload for each of several files."""
    parameters(request)
    key = idempotency_key(request)
    files = _decoded(await read(request), _FILES).files
    accepted = services.uploads.accept(files, batch=True)
    await services.rate_limit.spend_more(principal, len(files) - 1 + _store_cost(accepted, is_retry=key is not None))
    uploads = await services.uploads.create(principal, accepted, idempotency_key=key)
    return json_response(schemas.CreateResults([representations.created(made) for made in uploads]), 201)


def _decoded(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the document in the body of a create."""
    plain = decode_plain(data, decoder)
    return convert(parse(data), decoder.type) if plain is None else plain


def _store_cost(accepted: Sequence[Accepted], *, is_retry: bool) -> int:
    """Return the number of calls to the store for the files in parts."""
    each = Cost.RETRY_CREATE_IN_PARTS if is_retry else Cost.CREATE_IN_PARTS
    return each * len([file for file in accepted if file.parts])


async def presign_parts(services: Services, request: Request, principal: Principal) -> Response:
    """Presign a PUT for each requested part."""
    parameters(request)
    wanted = convert(await read_json(request), schemas.SignParts)
    presigned = services.uploads.presign_parts(principal, request.path_params["upload_id"], wanted.numbers())
    return json_response(representations.presigned_parts(presigned))


async def get(services: Services, request: Request, principal: Principal) -> Response:
    """Return the progress of an upload."""
    parameters(request)
    await services.rate_limit.spend_more(principal, Cost.UPLOAD_STATUS)
    upload_id = request.path_params["upload_id"]
    made = await services.uploads.progress(principal, upload_id)
    return json_response(representations.progress(upload_id, made))


async def abort(services: Services, request: Request, principal: Principal) -> Response:
    """Delete an upload that is not confirmed."""
    parameters(request)
    await services.rate_limit.spend_more(principal, Cost.DELETE)
    await services.uploads.abort(principal, request.path_params["upload_id"])
    return Response(status_code=204, headers=NO_STORE)


async def confirm(services: Services, request: Request, principal: Principal) -> Response:
    """Check the staged object, promote it, and return the track-ready document."""
    parameters(request)
    convert(await read_optional_json(request), schemas.Empty)
    await services.rate_limit.spend_more(principal, Cost.CONFIRM)
    upload_id = request.path_params["upload_id"]
    outcome = await services.uploads.confirm(principal, upload_id)
    document = representations.confirmation(upload_id, outcome)
    if isinstance(outcome, Promoting):
        return json_response(document, 202, (b"retry-after", PROMOTING_RETRY_AFTER))
    return json_response(document)


async def confirm_many(services: Services, request: Request, principal: Principal) -> Response:
    """Confirm several uploads; each has its own result or problem."""
    parameters(request)
    upload_ids = convert(await read_json(request, limit=CONFIRMS_BODY_MAX), schemas.UploadIds).upload_ids
    await services.rate_limit.spend_more(principal, len(upload_ids) - 1 + Cost.CONFIRM * len(upload_ids))
    outcomes = await services.uploads.confirm_many(principal, upload_ids)
    request_record.add_failures(
        request.scope,
        [(i, outcome.code, outcome.reason) for i, outcome in enumerate(outcomes) if isinstance(outcome, BrokerError)],
    )
    request_id = request_record.request_id(request.scope)
    return json_response(representations.confirm_results(upload_ids, outcomes, request_id))
