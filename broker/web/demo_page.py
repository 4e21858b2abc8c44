"""The demo's page: plain files, served with a policy that lets them talk to the broker and the store alone."""

from starlette.routing import Route

from .assets import file_route

PARTS = (
    "demo.css",
    "demo.svg",
    "demo.js",
    "demo-broker.js",
    "demo-dom.js",
    "demo-lane.js",
    "demo-track.js",
    "demo-transfer.js",
    "demo-words.js",
)


def page_routes(store_origin: str) -> list[Route]:
    """The page at ``/demo`` and what it is made of. ``store_origin`` is where its uploads go."""
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"connect-src 'self' {store_origin}",
            f"media-src {store_origin}",
            f"img-src 'self' {store_origin}",
            "worker-src blob:",  # where the client computes checksums
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
    }

    return [file_route("/demo", headers, "demo.html"), *(file_route(f"/static/{name}", headers) for name in PARTS)]
