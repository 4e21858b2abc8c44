"""A span for each request, as the outermost middleware.

Rules of this module
- A span has the route's template, not the path: an upload id is a capability, and a query may hold a URL.
- The names are those of OpenTelemetry's conventions (opentelemetry.io/docs/specs/semconv/http/http-spans). Of the
  attributes that they require, ``url.path`` is left out for this reason.
- The trace of the client's ``traceparent`` continues (w3.org/TR/trace-context).
"""

from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.web import request_record
from broker.web.http_methods import METHODS

_OTHER: Final = "_OTHER"
"""The method attribute of all methods that are not standard."""

_TRACE_FIELDS: Final = (b"traceparent", b"tracestate")
_PROPAGATOR: Final = TraceContextTextMapPropagator()


class TraceRequests:
    """Makes a span for each request, which is the current one while the application runs."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within its span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else _OTHER
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        span = self._tracer.start_span(method, _parent(scope), SpanKind.SERVER, attributes)
        status = 0

        async def send_with_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                await self._app(scope, receive, send_with_status)
            finally:
                _describe(span, method, scope, status)


def _parent(scope: Scope) -> Context:
    """Return the context of the client's span; without a valid one, the context of a new trace."""
    fields = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _TRACE_FIELDS}
    return _PROPAGATOR.extract(fields, Context())


def _describe(span: Span, method: str, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)
    span.update_name(f"{'HTTP' if method == _OTHER else method} {route or ''}".rstrip())
    span.set_attribute("broker.request_id", request_record.request_id(scope))
    if route:
        span.set_attribute("http.route", route)
    if status:
        span.set_attribute("http.response.status_code", status)
    if status >= 500 or not status:
        span.set_attribute("error.type", str(status) if status else "no_response")
        span.set_status(StatusCode.ERROR)
