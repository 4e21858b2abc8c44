"""Refusals and accidents as answers: RFC 9457 problem documents, one place for all of them."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler, Scope

from broker.error_texts import Detail
from broker.errors import BrokerError, NotFoundError

from . import request_record, schemas


def refused(scope: Scope, error: BrokerError) -> Response:
    """The answer to a refusal of ours, which the request's line in the log then names."""
    request_record.note(scope, "code", error.code)
    if error.reason:
        request_record.note(scope, "reason", error.reason)
    return respond(error, request_record.request_id(scope))


async def on_broker_error(request: Request, error: Any) -> Response:
    """Answer a ``BrokerError`` that was raised."""
    return refused(request.scope, error)


async def on_http_exception(request: Request, _error: Exception) -> Response:
    """Answer Starlette's own exception, which its router raises for an unknown path."""
    return refused(request.scope, NotFoundError(Detail.RESOURCE_NOT_FOUND))


def respond(error: BrokerError, request_id: str) -> Response:
    """``error`` as a problem document with the header fields its status asks for."""
    return Response(
        msgspec.json.encode(schemas.problem(error, request_id)),
        error.status,
        {**schemas.NO_STORE, **error.headers},
        "application/problem+json",
    )


EXCEPTION_HANDLERS: Final[Mapping[Any, ExceptionHandler]] = {
    BrokerError: on_broker_error,
    HTTPException: on_http_exception,
}
"""Starlette's ``exception_handlers`` of an application whose errors are problem documents."""
