"""The demo's page: static files with a content security policy that allows only the broker and the store."""

from typing import Final

from starlette.routing import Route

from .assets import file_route

FILES: Final = (
    "demo-access.js",
    "demo-announce.js",
    "demo-broker.js",
    "demo-dom.js",
    "demo-errors.js",
    "demo-format.js",
    "demo-interrupted.js",
    "demo-limits.js",
    "demo-list.css",
    "demo-list.js",
    "demo-memory.js",
    "demo-player.js",
    "demo-restore.js",
    "demo-row.js",
    "demo-tabs.js",
    "demo-thumb.js",
    "demo-total.js",
    "demo-track.js",
    "demo-upload.js",
    "demo.css",
    "demo.js",
    "demo.svg",
)
"""The files that the page loads, besides the browser client."""


def page_routes(store_origin: str) -> list[Route]:
    """Return the routes of the page at ``/demo`` and of its files. The page uploads to ``store_origin``."""
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"connect-src 'self' {store_origin}",
            f"media-src {store_origin}",
            f"img-src 'self' blob: {store_origin}",  # blob: thumbnails of chosen pictures
            "worker-src blob:",  # the browser client computes checksums in a worker
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    files = [file_route(f"/static/{name}", headers) for name in FILES]
    return [file_route("/demo", headers, "demo.html"), *files]
