"""A request's query parameters and header fields, as strictly read as its body."""

from starlette.requests import Request
from starlette.types import Scope

from broker.error_texts import Rule
from broker.errors import BrokerError, Fault, InvalidRequestError, about

IDEMPOTENCY_KEY_MAX = 255


def refuse(name: str, rule: str) -> BrokerError:
    """The refusal of the parameter or header field ``name``."""
    return about(InvalidRequestError, Fault(f"/{name}", rule))


def parameters(request: Request, *known: str) -> dict[str, str]:
    """The parameters by name; unknown and repeated ones are refused."""
    found: dict[str, str] = {}
    if not request.scope["query_string"]:
        return found
    for name, value in request.query_params.multi_items():
        if name not in known:
            rule = Rule.PARAMETERS_UNKNOWN.format(known=", ".join(known)) if known else Rule.PARAMETERS_NONE
            raise refuse("query", rule)
        if name in found:
            raise refuse(name, Rule.PARAMETER_REPEATED)
        if "\ufffd" in value:  # what the decoder puts in the place of other bytes
            raise refuse(name, Rule.PARAMETER_UTF_8)
        found[name] = value
    return found


def field_values(scope: Scope, name: bytes) -> list[str]:
    """What each header field of this name says."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, if there is one (draft-ietf-httpapi-idempotency-key-header)."""
    values = field_values(request.scope, b"idempotency-key")
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not 1 <= len(value) <= IDEMPOTENCY_KEY_MAX or not (value.isascii() and value.isprintable()):
        raise refuse("Idempotency-Key", Rule.IDEMPOTENCY_KEY.format(limit=IDEMPOTENCY_KEY_MAX))
    return value
