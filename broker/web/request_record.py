"""The record of one request, which becomes its line in the log. It is kept in the request's ASGI scope."""

import random
import re
from collections.abc import Sequence
from typing import Any, Final

from starlette.types import Scope

from broker.errors import BrokerError

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_RECORD: Final = "broker.record"


def start(scope: Scope) -> dict[str, Any]:
    """Start the record of a request, with the client's ``X-Request-Id`` if it has the form of one, or a new id."""
    method = scope["method"]
    record = {
        "event": "broker.request_completed",
        "method": method if method.isalpha() and len(method) < 10 else "?",
        "route": None,
        "ms": 0.0,
        "requestId": _request_id(scope),
        "status": 0,
    }
    scope[_RECORD] = record
    return record


def add(scope: Scope, name: str, value: Any) -> None:
    """Add a member to the record."""
    scope[_RECORD][name] = value


def add_failures(scope: Scope, failures: Sequence[tuple[int, str, str]]) -> None:
    """Add the failed items of a batch: the index, the error code and the reason, if there is one, of each."""
    if failures:
        scope[_RECORD]["failed"] = [
            {"item": index, "code": code, **({"reason": reason} if reason else {})} for index, code, reason in failures
        ]


def add_error(scope: Scope, error: BrokerError) -> None:
    """Add the code of an error, and its reason, if it has one."""
    add(scope, "code", error.code)
    if error.reason:
        add(scope, "reason", error.reason)


def request_id(scope: Scope) -> str:
    """Return the request's id."""
    found: str = scope[_RECORD]["requestId"]
    return found


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id")
    if given and _REQUEST_ID.fullmatch(given):
        return str(given.decode())
    return f"{random.getrandbits(128):032x}"
