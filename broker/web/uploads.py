"""The uploads of the API: ``/api/v1/uploads`` and below (create, look, confirm, abort)."""

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from broker.core.model import Principal
from broker.core.policy import Accepted, Declaration
from broker.core.strict_json import decode_plain
from broker.errors import BrokerError
from broker.service import Services
from broker.service.allowance import Cost
from broker.service.promotion import Promoting

from . import notes, wire
from .body import convert, parse, read, read_json, read_optional_json
from .query import idempotency_key, parameters

_FILE, _FILES = msgspec.json.Decoder(Declaration), msgspec.json.Decoder(wire.FilesIn)


async def create(services: Services, request: Request, principal: Principal) -> Response:
    """Sign a PUT for one file, or for each of several; begin those that come in parts."""
    parameters(request)
    key = idempotency_key(request)
    files, batch = _declared(await read(request))
    accepted = services.uploads.accept(files, batch=batch)
    if extra := len(files) - 1 + _store_cost(accepted, is_retry=key is not None):
        services.allowance.spend_more(principal, extra)
    uploads = await services.uploads.create(principal, accepted, idempotency_key=key)
    answers = [wire.created(upload) for upload in uploads]
    if batch:
        return wire.answer({"uploads": answers}, 201)
    location = f"{request.scope['path']}/{uploads[0].ticket}"
    return wire.answer(answers[0], 201, (b"location", location.encode()))


def _declared(data: bytes) -> tuple[list[Declaration], bool]:
    """The files in the body of a create, and whether they are a batch."""
    if file := decode_plain(data, _FILE):
        return [file], False
    if files := decode_plain(data, _FILES):
        return files.files, True
    document = parse(data)
    if isinstance(document, dict) and "files" in document:
        return convert(document, wire.FilesIn).files, True
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
    asked = convert(document, wire.PartRangeIn) if is_range else convert(document, wire.PartsIn)
    signed = services.uploads.parts(principal, request.path_params["upload_id"], asked.numbers())
    return wire.answer(wire.presigned_parts(signed))


async def look(services: Services, request: Request, principal: Principal) -> Response:
    """How far an upload is."""
    parameters(request)
    services.allowance.spend_more(principal, Cost.LOOK_AT_UPLOAD)
    ticket = request.path_params["upload_id"]
    return wire.answer(wire.progress(ticket, await services.uploads.progress(principal, ticket)))


async def abort(services: Services, request: Request, principal: Principal) -> Response:
    """Delete an upload that is not confirmed."""
    parameters(request)
    services.allowance.spend_more(principal, Cost.DELETE)
    await services.uploads.abort(principal, request.path_params["upload_id"])
    return Response(status_code=204, headers=wire.NO_STORE)


async def confirm(services: Services, request: Request, principal: Principal) -> Response:
    """Check, promote, and give the track-ready answer."""
    parameters(request)
    convert(await read_optional_json(request), wire.ConfirmIn)
    services.allowance.spend_more(principal, Cost.CONFIRM)
    ticket = request.path_params["upload_id"]
    outcome = await services.uploads.confirm(principal, ticket)
    document = wire.confirmation(ticket, outcome)
    if isinstance(outcome, Promoting):
        return wire.answer(document, 202, (b"retry-after", PROMOTING_RETRY_AFTER))
    return wire.answer(document)


async def confirm_many(services: Services, request: Request, principal: Principal) -> Response:
    """Confirm each of several uploads; each has its own answer or problem."""
    parameters(request)
    tickets = convert(await read_json(request, limit=CONFIRMS_BODY_MAX), wire.ConfirmsIn).upload_ids
    services.allowance.spend_more(principal, len(tickets) - 1 + Cost.CONFIRM * len(tickets))
    outcomes = await services.uploads.confirm_many(principal, tickets)
    identity = notes.request_id(request.scope)
    notes.note_failures(
        request.scope,
        [(i, outcome.code, outcome.reason) for i, outcome in enumerate(outcomes) if isinstance(outcome, BrokerError)],
    )
    return wire.answer(
        {
            "results": [
                {"uploadId": ticket, "problem": wire.problem(outcome, identity)}
                if isinstance(outcome, BrokerError)
                else {"uploadId": ticket, **wire.confirmation(ticket, outcome)}
                for ticket, outcome in zip(tickets, outcomes, strict=True)
            ]
        }
    )


CONFIRMS_BODY_MAX = 512 * 1024
"""Bytes of a batch confirm: a hundred ids, each as long as an id may be."""

PROMOTING_RETRY_AFTER = b"1"
"""Seconds after which a confirm that has more to copy should be sent again."""
