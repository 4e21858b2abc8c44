"""Paths without parameters, found by one look-up."""

from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

_NO_MATCH: Final[tuple[Match, Scope]] = (Match.NONE, {})


class ExactPaths(BaseRoute):
    """A route over several routes whose paths have no parameters, for the front of Starlette's list of routes.

    The router tries the regular expression of one route after the other: for the busiest resources of this application
    that costs a tenth of a request.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = {route.path: route for route in routes if not route.param_convertors}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request to one of the paths; the rest of the application sees that path's own route."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        return _NO_MATCH if route is None else (Match.FULL, {"route": route})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the endpoint of the route that matched."""
        await scope["route"].app(scope, receive, send)
