"""The uploads of the API: ``/api/v1/uploads`` and below (create, look, confirm, abort)."""

from collections.abc import Sequence

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

from . import request_record, schemas
from .body import convert, parse, read, read_json, read_optional_json
from .query import idempotency_key, parameters

_FILE, _FILES = msgspec.json.Decoder(Declaration), msgspec.json.Decoder(schemas.FilesIn)


async def create(services: Services, request: Request, principal: Principal) -> Response:
    """Sign a PUT for one file, or for each of several; begin those that come in parts."""
    parameters(request)
    key = idempotency_key(request)
    files, batch = _declared(await read(request))
    accepted = services.uploads.accept(files, batch=batch)
    if extra := len(files) - 1 + _store_cost(accepted, is_retry=key is not None):
        services.rate_limit.spend_more(principal, extra)
    uploads = await services.uploads.create(principal, accepted, idempotency_key=key)
    answers = [schemas.created(upload) for upload in uploads]
    if batch:
        return schemas.json_response({"uploads": answers}, 201)
    location = f"{request.scope['path']}/{uploads[0].upload_id}"
    return schemas.json_response(answers[0], 201, (b"location", location.encode()))


def _declared(data: bytes) -> tuple[list[Declaration], bool]:
    """The files in the body of a create, and whether they are a batch."""
    if file := decode_plain(data, _FILE):
        return [file], False
    if files := decode_plain(data, _FILES):
        return files.files, True
    document = parse(data)
    if isinstance(document, dict) and "files" in document:
        return convert(document, schemas.FilesIn).files, True
    return [convert(document, Declaration)], False


def _store_cost(accepted: Sequence[Accepted], *, is_retry: bool) -> int:
    """What the files that come in parts cost the store."""
    each = Cost.RETRY_CREATE_IN_PARTS if is_retry else Cost.CREATE_IN_PARTS
    return each * len([file for file in accepted if file.parts])


async def parts(services: Services, request: Request, principal: Principal) -> Response:
    """Sign a PUT for each of some parts."""
    parameters(request)
    document = await read_json(request)
    is_range = isinstance(document, dict) and "from" in document
    asked = convert(document, schemas.PartRangeIn) if is_range else convert(document, schemas.PartsIn)
    signed = services.uploads.presign_parts(principal, request.path_params["upload_id"], asked.numbers())
    return schemas.json_response(schemas.presigned_parts(signed))


async def look(services: Services, request: Request, principal: Principal) -> Response:
    """How far an upload is."""
    parameters(request)
    services.rate_limit.spend_more(principal, Cost.UPLOAD_STATUS)
    upload_id = request.path_params["upload_id"]
    return schemas.json_response(schemas.progress(upload_id, await services.uploads.status(principal, upload_id)))


async def abort(services: Services, request: Request, principal: Principal) -> Response:
    """Delete an upload that is not confirmed."""
    parameters(request)
    services.rate_limit.spend_more(principal, Cost.DELETE)
    await services.uploads.abort(principal, request.path_params["upload_id"])
    return Response(status_code=204, headers=schemas.NO_STORE)


async def confirm(services: Services, request: Request, principal: Principal) -> Response:
    """Check, promote, and give the track-ready answer."""
    parameters(request)
    convert(await read_optional_json(request), schemas.ConfirmIn)
    services.rate_limit.spend_more(principal, Cost.CONFIRM)
    upload_id = request.path_params["upload_id"]
    outcome = await services.uploads.confirm(principal, upload_id)
    document = schemas.confirmation(upload_id, outcome)
    if isinstance(outcome, Promoting):
        return schemas.json_response(document, 202, (b"retry-after", PROMOTING_RETRY_AFTER))
    return schemas.json_response(document)


async def confirm_many(services: Services, request: Request, principal: Principal) -> Response:
    """Confirm each of several uploads; each has its own answer or problem."""
    parameters(request)
    upload_ids = convert(await read_json(request, limit=CONFIRMS_BODY_MAX), schemas.ConfirmsIn).upload_ids
    services.rate_limit.spend_more(principal, len(upload_ids) - 1 + Cost.CONFIRM * len(upload_ids))
    outcomes = await services.uploads.confirm_many(principal, upload_ids)
    identity = request_record.request_id(request.scope)
    request_record.note_failures(
        request.scope,
        [(i, outcome.code, outcome.reason) for i, outcome in enumerate(outcomes) if isinstance(outcome, BrokerError)],
    )
    return schemas.json_response(
        {
            "results": [
                {"uploadId": upload_id, "problem": schemas.problem(outcome, identity)}
                if isinstance(outcome, BrokerError)
                else {"uploadId": upload_id, **schemas.confirmation(upload_id, outcome)}
                for upload_id, outcome in zip(upload_ids, outcomes, strict=True)
            ]
        }
    )


CONFIRMS_BODY_MAX = 512 * 1024
"""Bytes of a batch confirm: a hundred ids, each as long as an id may be."""

PROMOTING_RETRY_AFTER = b"1"
"""Seconds after which a confirm that has more to copy should be sent again."""
