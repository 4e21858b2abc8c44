"""Files that are served as they are: the browser client, and whatever page a command adds."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .resource import Resource

STATIC = Path(__file__).with_name("static")

_MEDIA_TYPES = {  # ``mimetypes`` would read /etc/mime.types, or the registry of Windows
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",  # RFC 9239; browsers refuse a module of another type
    ".svg": "image/svg+xml",
    ".ts": "text/plain",  # TypeScript has no registered type, and many tables say MPEG
}

_FOR_ALL_ORIGINS = {
    "Access-Control-Allow-Origin": "*",  # a module is imported with CORS, and there is nothing secret in it
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, max-age=3600",
}


def file_route(path: str, headers: Mapping[str, str], name: str | None = None) -> Route:
    """``GET path``: the static file ``name``, by default the path's last segment. It is never cut: no ``Range``."""
    file = STATIC / (name or path.rpartition("/")[2])
    content, kind = file.read_bytes(), _MEDIA_TYPES[file.suffix]

    async def serve(_request: Request) -> Response:
        return Response(content, headers=headers, media_type=kind)

    return Route(path, Resource({"GET": serve}))


def client_routes() -> list[Route]:
    """The browser client and its types."""
    names = ("broker-upload.js", "broker-upload.d.ts")
    return [file_route(f"/static/{name}", _FOR_ALL_ORIGINS) for name in names]
