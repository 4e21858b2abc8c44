"""What a request gathers for its line in the log, kept in its ASGI scope."""

import os
import re
from typing import Any

from starlette.types import Scope

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_NOTES = "broker.notes"


def begin(scope: Scope) -> dict[str, Any]:
    """The notes of a new request: its id, the client's own if that has the form of one, and no status yet."""
    scope[_NOTES] = {"requestId": _identity(scope), "status": 0}
    return notes(scope)


def note(scope: Scope, **facts: Any) -> None:
    """Add facts to the request's notes."""
    scope[_NOTES].update(facts)


def notes(scope: Scope) -> dict[str, Any]:
    """All that was noted so far."""
    found: dict[str, Any] = scope[_NOTES]
    return found


def request_id(scope: Scope) -> str:
    """The request's id."""
    return str(scope[_NOTES]["requestId"])


def _identity(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return str(text)
    return os.urandom(16).hex()
