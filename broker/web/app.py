"""The composition root: settings in, ASGI application out. Importing it loads no boto3."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from broker import service, settings
from broker.auth.tokens import TokenVerifier
from broker.core.receipts import Receipts
from broker.core.sigv4 import Presigner
from broker.settings import Settings
from broker.store.port import ObjectStore
from broker.store.r2 import R2ObjectStore

from .assets import client_routes
from .lines import configure_logging
from .operations import Operations
from .routes import Gate, Table, routes
from .telemetry import Telemetry, access_log

log = logging.getLogger("broker.web")


def create_app(
    configured: Settings,
    *,
    store: ObjectStore | None = None,
    clock: Callable[[], float] = time.time,
    extra_routes: Sequence[Route] = (),
    write_line: Callable[[str], object] = access_log.info,
) -> ASGIApp:
    """The application of one process.

    ``store`` stands in for the configured one; ``extra_routes`` are pages that a command adds to the API.
    ``write_line`` takes the line of each request.
    """
    receipts = Receipts(configured.secrets, issuer=configured.issuer) if configured.secrets else None
    place = configured.store
    services: service.Services | None = None
    if place and receipts:
        store = store or R2ObjectStore(Presigner(place.credentials, place.endpoint), clock=clock)
        services = service.build(configured, place, store, receipts, clock)
    else:
        store = None

    verifier = TokenVerifier(configured.tokens)

    @asynccontextmanager
    async def lifespan(_app: ASGIApp) -> AsyncIterator[None]:
        for warning in configured.warnings:
            log.warning(json.dumps({"event": "warning", "message": warning}))
        warming = asyncio.create_task(verifier.keys.refresh())  # the start does not wait for the identity service
        yield
        warming.cancel()
        if store:
            await store.close()

    gate = Gate(verifier, services, configured.missing, clock)
    operations = Operations(configured, store, verifier.keys, receipts.jwks if receipts else {"keys": []})
    table = Table([*routes(gate, operations), *client_routes(), *extra_routes], lifespan)
    return Telemetry(_cors(table, configured.cors_origins), write_line)


def from_environment() -> ASGIApp:
    """The application of a worker process."""
    lines = configure_logging()
    return create_app(settings.from_environment(), write_line=lines.write)


def _cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """CORS of the API itself; the bucket has rules of its own for the PUT and the GET."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
        expose_headers=["Location", "Retry-After", "X-Request-Id"],
        max_age=600,
    )
