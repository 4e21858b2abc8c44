"""Which pages of other origins may call the API and read its responses (https://fetch.spec.whatwg.org, CORS).

Rules of this module
- Tokens are in the Authorization field, and no response permits cookies: a listed origin gains nothing but the API.
- Every response has the fields, also refusals and unhandled exceptions. A page cannot read a response without them.
- A preflight from a listed origin gets the list of what is allowed, whatever it requests. The browser decides.
- The bucket has CORS rules of its own, for the PUT and the GET.
"""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .responses import Field

ANY: Final = "*"
"""The item of a list of origins that allows every page."""

_TRACING: Final = (  # fields that libraries for tracing add to every request of a page
    *("traceparent", "tracestate", "baggage", "sentry-trace", "b3", "X-B3-TraceId", "X-B3-SpanId"),
    *("X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags", "uber-trace-id", "newrelic", "elastic-apm-traceparent"),
    *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority"),
    *("Request-Id", "Request-Context", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context"),
)
_ALLOWED: Final = ("Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id", "X-Requested-With", *_TRACING)
_PREFLIGHT: Final = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE"),
    (b"access-control-allow-headers", ", ".join(_ALLOWED).encode()),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]
_EXPOSED: Final = (
    b"access-control-expose-headers",
    b"Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id",
)
_ALLOW: Final = b"access-control-allow-origin"
_VARY: Final = b"vary"
_BY_ORIGIN: Final = (_VARY, b"Origin")


class CorsRules:
    """The origins that may call the API, and the fields that tell a browser."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._allows_any = ANY in origins
        self.depend_on_origin = bool(origins) and not self._allows_any

    def __bool__(self) -> bool:
        """Return whether an origin is allowed at all."""
        return bool(self._origins)

    def allow(self, origin: bytes | None) -> bool:
        """Return whether pages of ``origin`` may call the API."""
        return origin is not None and (self._allows_any or origin in self._origins)

    def fields(self, origin: bytes | None) -> tuple[Field, ...]:
        """Return the fields of a response to a request with this Origin field."""
        if not self.allow(origin):
            return (_BY_ORIGIN,) if self.depend_on_origin else ()
        if self._allows_any:
            return ((_ALLOW, b"*"), _EXPOSED)
        return ((_ALLOW, origin or b""), _EXPOSED, _BY_ORIGIN)

    def fields_without_request(self) -> tuple[Field, ...]:
        """Return the fields of a response that is sent before the Origin field was received.

        A browser lets no page of another origin read a response that names the only listed origin.
        """
        only = next(iter(self._origins)) if len(self._origins) == 1 else None
        return self.fields(b"" if self._allows_any else only)


class CorsFields:
    """The outermost middleware, which adds the fields to every response."""

    def __init__(self, app: ASGIApp, rules: CorsRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = self._rules.fields(_field(scope, b"origin"))

        def send_with_fields(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = _merged(message["headers"], added)
            return send(message)

        await self._app(scope, receive, send_with_fields)


class CorsPreflight:
    """A middleware that responds to the preflight of a listed origin. ``CorsFields`` adds the origin."""

    def __init__(self, app: ASGIApp, rules: CorsRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._is_preflight(scope):
            await send({"type": "http.response.start", "status": 200, "headers": [*_PREFLIGHT]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)

    def _is_preflight(self, scope: Scope) -> bool:
        return (
            scope["type"] == "http"
            and scope["method"] == "OPTIONS"
            and _field(scope, b"access-control-request-method") is not None
            and self._rules.allow(_field(scope, b"origin"))
        )


def _field(scope: Scope, name: bytes) -> bytes | None:
    found: Iterable[bytes] = (value for given, value in scope["headers"] if given == name)
    return next(iter(found), None)


def _merged(fields: Sequence[Field], added: Sequence[Field]) -> list[Field]:
    """Return the fields of a response with ``added`` ones, which replace, and with one Vary: some caches read one."""
    names = {name for name, _ in added}
    vary = [value for name, value in (*fields, *added) if name == _VARY]
    return [
        *(field for field in fields if field[0] not in names and field[0] != _VARY),
        *(field for field in added if field[0] != _VARY),
        *([(_VARY, b", ".join(vary))] if vary else []),
    ]
