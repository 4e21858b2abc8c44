"""Files that are served as they are: the browser client, and whatever page a command adds."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).with_name("static")

_FOR_ALL_ORIGINS = {
    "Access-Control-Allow-Origin": "*",  # a module is imported with CORS, and there is nothing secret in it
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, max-age=3600",
}


def file_route(path: str, headers: Mapping[str, str]) -> BaseRoute:
    """``GET path``: the static file of its name."""
    file = STATIC / path.rpartition("/")[2]

    async def serve(_request: Request) -> Response:
        return FileResponse(file, headers=headers)

    return Route(path, serve)


def client_routes() -> list[BaseRoute]:
    """The browser client and its types."""
    names = ("broker-upload.js", "broker-upload.d.ts")
    return [file_route(f"/static/{name}", _FOR_ALL_ORIGINS) for name in names]
