"""A resource: one path with a handler for each method. Starlette's ``Route`` takes it as an ASGI endpoint."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from broker.error_texts import Detail
from broker.errors import MethodNotAllowedError, NotFoundError

from .authentication import PublicHandler


class Resource:
    """An ASGI endpoint that dispatches by method, as ``starlette.endpoints.HTTPEndpoint`` does.

    It receives all methods from the router, so that a path never falls through to another with a parameter in it.
    Errors are raised: the application's exception handlers make the responses.
    """

    def __init__(self, handlers: Mapping[str, PublicHandler]) -> None:
        self._handlers = {**handlers, **({"HEAD": handlers["GET"]} if "GET" in handlers else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; raise ``MethodNotAllowedError``, or the error of the handler."""
        if scope["path"].endswith("\n"):  # a route's regex ends in ``$``, which matches before a trailing line feed
            raise NotFoundError(Detail.RESOURCE_NOT_FOUND)
        handler = self._handlers.get(scope["method"])
        if handler is None:
            raise MethodNotAllowedError(sorted(self._handlers))
        response = await handler(Request(scope, receive))
        await response(scope, receive, send)
