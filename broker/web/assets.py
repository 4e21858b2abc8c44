"""Static files: the browser client, and the pages that a command adds to the API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.routing import Route

from .resource import Resource
from .static_file import StaticFile

STATIC: Final = Path(__file__).with_name("static")
"""The folder of the static files."""

CLIENT: Final = ("broker-upload.js", "broker-upload.d.ts", "broker-uppy.js", "broker-uppy.d.ts")
"""The browser client, the module for Uppy, and their types."""

_MEDIA_TYPES: Final = {  # the table of ``mimetypes`` depends on /etc/mime.types and on the registry of Windows
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",  # RFC 9239; browsers refuse a module of another type
    ".svg": "image/svg+xml",
    ".ts": "text/plain",  # TypeScript has no registered type, and many tables list .ts as MPEG video
}

_FOR_ALL_ORIGINS: Final = {
    "Access-Control-Allow-Origin": "*",  # a module is imported with CORS, and this one holds no secret
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_CURRENT: Final = {**_FOR_ALL_ORIGINS, "Cache-Control": "no-cache"}  # caches revalidate: an upgrade is seen at once
_OF_ONE_VERSION: Final = {**_FOR_ALL_ORIGINS, "Cache-Control": "public, max-age=31536000, immutable"}


def file_route(path: str, headers: Mapping[str, str], name: str | None = None) -> Route:
    """Return the route ``GET path`` of the static file ``name``, by default the last segment of the path."""
    file = STATIC / (name or path.rpartition("/")[2])
    return Route(path, Resource({"GET": StaticFile(file.read_bytes(), _MEDIA_TYPES[file.suffix], headers)}))


def client_version() -> str:
    """Return the version that the browser client exports."""
    source = (STATIC / CLIENT[0]).read_text(encoding="utf-8")
    return source.split('export const version = "', 1)[1].split('"', 1)[0]


def client_routes() -> list[Route]:
    """Return the routes of the browser client and its types, each at a URL of the current and of this one version."""
    version = client_version()
    current = [file_route(f"/static/{name}", _CURRENT) for name in CLIENT]
    versioned = [
        file_route(f"/static/{name.replace('.', f'-{version}.', 1)}", _OF_ONE_VERSION, name) for name in CLIENT
    ]
    return [*current, *versioned]
