"""The application that Prometheus scrapes, for a port of its own."""

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

from .instruments import Instruments, ProcessState


def scrape_app(instruments: Instruments, read_state: Callable[[], ProcessState]) -> Starlette:
    """Return an application whose only resource is ``/metrics``; scrapes are not logged."""

    async def scrape(_request: Request) -> Response:
        from .exposition import scrape_response  # noqa: PLC0415  the start does not wait for the library

        return scrape_response(instruments, read_state())

    return LeanStarlette(
        routes=[Route("/metrics", Resource({"GET": scrape}))],
        middleware=[Middleware(RequestLog, lambda _line: None)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
