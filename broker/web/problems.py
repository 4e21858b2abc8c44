"""Refusals and accidents as answers: RFC 9457 problem documents, one place for all of them."""

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from broker.errors import (
    BrokerError,
    MethodNotAllowedError,
    NotFoundError,
    RequestTimeoutError,
    UnauthenticatedError,
)

from . import notes, wire


def refused(scope: Scope, error: BrokerError) -> Response:
    """The answer to a refusal of ours, which the request's line in the log then names."""
    notes.note(scope, "code", error.code)
    if error.reason:
        notes.note(scope, "reason", error.reason)
    return respond(error, notes.request_id(scope))


async def unrouted(scope: Scope, receive: Receive, send: Send) -> None:
    """The application for whatever no route fits."""
    await refused(scope, NotFoundError("There is no such resource."))(scope, receive, send)


def respond(error: BrokerError, request_id: str) -> Response:
    """``error`` as a problem document with the header fields its status asks for."""
    response = Response(
        msgspec.json.encode(wire.problem(error, request_id)),
        error.status,
        dict(wire.NO_STORE),
        "application/problem+json",
    )
    response.headers.update(_fields(error))
    return response


def _fields(error: BrokerError) -> dict[str, str]:
    match error:
        case UnauthenticatedError():
            return {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # RFC 6750 section 3
        case RequestTimeoutError():
            return {"Connection": "close"}  # RFC 9110, section 15.5.9
        case MethodNotAllowedError():
            return {"Allow": ", ".join(error.allowed)}
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
