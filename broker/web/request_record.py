"""What a request gathers for its line in the log, kept in its ASGI scope."""

import os
import re
from collections.abc import Sequence
from typing import Any

from starlette.types import Scope

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_NOTES = "broker.notes"


def begin(scope: Scope) -> dict[str, Any]:
    """The line of a new request, as far as it is known: with its id, the client's own if that has the form of one."""
    method = scope["method"]
    line = {
        "event": "request",
        "method": method if method.isalpha() and len(method) < 10 else "?",
        "route": None,
        "ms": 0.0,
        "requestId": _identity(scope),
        "status": 0,
    }
    scope[_NOTES] = line
    return line


def note(scope: Scope, name: str, fact: Any) -> None:
    """Add a fact to the request's line."""
    scope[_NOTES][name] = fact


def note_failures(scope: Scope, failures: Sequence[tuple[int, str, str]]) -> None:
    """Add what failed of a batch: the index of each item, the code of its refusal and the reason, if there is one."""
    if failures:
        scope[_NOTES]["failed"] = [
            {"item": index, "code": code, **({"reason": reason} if reason else {})} for index, code, reason in failures
        ]


def request_id(scope: Scope) -> str:
    """The request's id."""
    found: str = scope[_NOTES]["requestId"]
    return found


def _identity(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return str(text)
    return os.urandom(16).hex()
