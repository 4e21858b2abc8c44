"""The application that Prometheus scrapes, on a port of its own."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.web.lean_starlette import LeanStarlette
from broker.web.problems import EXCEPTION_HANDLERS
from broker.web.request_log import RequestLog
from broker.web.resource import Resource

from .counters import ProcessFacts, RequestMetrics


def scrape_app(requests: RequestMetrics, facts: Callable[[], ProcessFacts]) -> Starlette:
    """Return an application with ``/metrics`` and nothing else; scrapes write no log lines."""

    async def scrape(_request: Request) -> Response:
        from .exposition import exposition  # noqa: PLC0415  the first scrape waits for the library, the start does not

        return exposition(requests, facts())

    return LeanStarlette(
        routes=[Route("/metrics", Resource({"GET": scrape}))],
        middleware=[Middleware(RequestLog, lambda _line: None)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
