"""The demo's page: plain files, served with a policy that lets them talk to the broker and the store alone."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).with_name("static")


def page_routes(store_origin: str) -> list[BaseRoute]:
    """The page at ``/demo`` and what it is made of. ``store_origin`` is where its uploads go."""
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"connect-src 'self' {store_origin}",
            f"media-src {store_origin}",
            f"img-src 'self' {store_origin}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }

    def file(path: str, name: str) -> Route:
        async def serve(_request: Request) -> Response:
            return FileResponse(STATIC / name, headers=headers)

        return Route(path, serve)

    return [
        file("/demo", "demo.html"),
        file("/static/demo.js", "demo.js"),
        file("/static/demo.css", "demo.css"),
        file("/static/demo.svg", "demo.svg"),
    ]
