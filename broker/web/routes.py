"""The table of routes. ``openapi.yaml`` describes the same resources, and a test compares the two."""

from collections.abc import Mapping

from starlette.routing import Route

from . import jamsync, object_endpoints, upload_endpoints
from .authentication import Authenticator, Handler, PublicHandler
from .operations import Operations
from .resource import Resource

API = "/api/v1"

RESOURCES: Mapping[str, Mapping[str, Handler]] = {  # the router tries them in this order: the busiest first
    f"{API}/downloads/{{key:path}}": {"GET": object_endpoints.download},
    f"{API}/uploads": {"POST": upload_endpoints.create},
    f"{API}/uploads/batch": {"POST": upload_endpoints.create_many},
    f"{API}/uploads/confirm": {"POST": upload_endpoints.confirm_many},
    f"{API}/uploads/{{upload_id}}": {"GET": upload_endpoints.get, "DELETE": upload_endpoints.abort},
    f"{API}/uploads/{{upload_id}}/parts": {"POST": upload_endpoints.presign_parts},
    f"{API}/uploads/{{upload_id}}/confirm": {"POST": upload_endpoints.confirm},
    f"{API}/objects/delete": {"POST": object_endpoints.delete_many},
    f"{API}/objects/{{key:path}}": {"GET": object_endpoints.get, "DELETE": object_endpoints.delete},
    f"{API}/keys": {"GET": object_endpoints.find_key},
    f"{API}/downloads": {"POST": object_endpoints.download_many},
    f"{API}/uploads/media": {"POST": jamsync.upload},
    f"{API}/uploads/media/batch": {"POST": jamsync.upload_batch},
}

_JAMSYNC = (f"{API}/uploads/media", f"{API}/uploads/media/batch")


def public_resources(operations: Operations) -> dict[str, PublicHandler]:
    """Return the resources that need no token; all of them by GET."""
    return {
        f"{API}/uploads/status": operations.status,
        "/healthz": operations.healthz,
        "/readyz": operations.readyz,
        "/openapi.yaml": operations.openapi,
        "/.well-known/jwks.json": operations.jwk_set,
    }


def routes(authenticator: Authenticator, operations: Operations) -> list[Route]:
    """Return every route of the API."""
    resources: dict[str, Mapping[str, PublicHandler]] = {
        path: {method: authenticator.require(handler) for method, handler in handlers.items()}
        for path, handlers in RESOURCES.items()
    }
    for path in _JAMSYNC:
        resources[path] = {method: jamsync.with_its_titles(handler) for method, handler in resources[path].items()}
    public = {path: {"GET": handler} for path, handler in public_resources(operations).items()}
    return [Route(path, Resource(handlers)) for path, handlers in {**resources, **public}.items()]
