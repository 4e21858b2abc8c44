"""Errors as RFC 9457 problem documents."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler, Scope

from broker.error_texts import Detail
from broker.errors import BrokerError, NotFoundError

from . import representations, request_record
from .responses import NO_STORE


async def on_broker_error(request: Request, error: Any) -> Response:
    """Respond to a ``BrokerError``."""
    return _logged_response(request.scope, error)


async def on_http_exception(request: Request, _error: Exception) -> Response:
    """Respond to Starlette's own exception, which its router raises for an unknown path."""
    return _logged_response(request.scope, NotFoundError(Detail.RESOURCE_NOT_FOUND))


EXCEPTION_HANDLERS: Final[Mapping[Any, ExceptionHandler]] = {
    BrokerError: on_broker_error,
    HTTPException: on_http_exception,
}
"""Starlette's ``exception_handlers`` of an application whose errors are problem documents."""


def _logged_response(scope: Scope, error: BrokerError) -> Response:
    """Add the code and the reason of ``error`` to the log line of the request, and return the response."""
    request_record.add_error(scope, error)
    return respond(error, request_record.request_id(scope))


def respond(error: BrokerError, request_id: str) -> Response:
    """Return the response to ``error``: a problem document, and the header fields that the error demands."""
    return Response(
        msgspec.json.encode(representations.problem(error, request_id)),
        error.status,
        {**NO_STORE, **error.headers},
        "application/problem+json",
    )
