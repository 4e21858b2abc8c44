"""Reads query parameters and header fields as strictly as a request body."""

from typing import Final

from starlette.requests import Request
from starlette.types import Scope

from broker.error_texts import Rule
from broker.errors import BrokerError, Fault, InvalidRequestError, about

IDEMPOTENCY_KEY_MAX: Final = 255
"""Maximum length of an Idempotency-Key in characters."""

_IDEMPOTENCY_KEY: Final = b"idempotency-key"


def invalid(name: str, rule: str) -> BrokerError:
    """Return the error of the parameter or header field ``name``."""
    return about(InvalidRequestError, Fault(f"/{name}", rule))


def parameters(request: Request, *known: str) -> dict[str, str]:
    """Return the parameters by name; raise ``InvalidRequestError`` for unknown and repeated ones."""
    found: dict[str, str] = {}
    if not request.scope["query_string"]:
        return found
    for name, value in request.query_params.multi_items():
        if name not in known:
            rule = Rule.PARAMETERS_UNKNOWN.format(known=", ".join(known)) if known else Rule.PARAMETERS_NONE
            raise invalid("query", rule)
        if name in found:
            raise invalid(name, Rule.PARAMETER_REPEATED)
        if "\ufffd" in value:  # the decoder's replacement for bytes that are not UTF-8
            raise invalid(name, Rule.PARAMETER_UTF_8)
        found[name] = value
    return found


def field_values(scope: Scope, name: bytes) -> list[str]:
    """Return the value of each header field ``name``, which is in lower case."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key, if there is one (draft-ietf-httpapi-idempotency-key-header)."""
    if _IDEMPOTENCY_KEY not in dict(request.scope["headers"]):
        return None
    values = field_values(request.scope, _IDEMPOTENCY_KEY)
    value = values[0]
    if len(values) > 1 or not 1 <= len(value) <= IDEMPOTENCY_KEY_MAX or not (value.isascii() and value.isprintable()):
        raise invalid("Idempotency-Key", Rule.IDEMPOTENCY_KEY.format(limit=IDEMPOTENCY_KEY_MAX))
    return value
