"""A minimal Starlette service: one route reads and one writes JSON, with bodies as long as the broker's.

It verifies no token, signs nothing and logs nothing. It runs in the configuration that its documentation calls the
fastest: one process of uvicorn with uvloop and httptools, without an access log. ``python -m bench.bare PORT``.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

CREATED = {
    "uploadId": "u" * 139,
    "method": "PUT",
    "url": "https://" + "x" * 510,
    "headers": {"Content-Type": "audio/mpeg", "If-None-Match": "*"},
    "size": 8_123_456,
    "expiresAt": "2026-01-01T00:00:00Z",
}
LINK = {"key": "k" * 46, "url": "https://" + "x" * 420, "expiresAt": "2026-01-01T00:00:00Z"}


async def create(request: Request) -> JSONResponse:
    """Read the JSON document, and return a constant one."""
    await request.json()
    return JSONResponse(CREATED, 201)


async def link(_request: Request) -> JSONResponse:
    """Return a constant document."""
    return JSONResponse(LINK)


app = Starlette(routes=[Route("/uploads", create, methods=["POST"]), Route("/downloads/{key:path}", link)])

if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none", access_log=False, log_level="error"
    )
