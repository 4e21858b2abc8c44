"""The composition root: settings in, ASGI application out. Importing it loads no boto3, and nothing of metrics."""

import asyncio
import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.routing import Route
from starlette.types import ASGIApp

from broker import service, settings
from broker.auth.tokens import TokenVerifier
from broker.core.receipts import Receipts
from broker.core.sigv4 import Presigner
from broker.settings import MetricsSettings, Settings
from broker.store.port import ObjectStore
from broker.store.r2 import R2ObjectStore

from .assets import client_routes
from .lines import configure_logging
from .operations import Operations
from .routes import Gate, Table, routes
from .telemetry import Count, Telemetry, access_log

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
    count, scraped = _metrics(configured.metrics) if configured.metrics else (None, None)

    @asynccontextmanager
    async def lifespan(_app: ASGIApp) -> AsyncIterator[None]:
        for warning in configured.warnings:
            log.warning(json.dumps({"event": "warning", "message": warning}))
        # The start waits neither for the identity service nor for a port of the metrics
        beside = [asyncio.create_task(verifier.keys.refresh()), *([asyncio.create_task(scraped())] if scraped else ())]
        yield
        for task in beside:
            task.cancel()
        if store:
            await store.close()

    gate = Gate(verifier, services, configured.missing, clock)
    operations = Operations(configured, store, verifier.keys, receipts.jwks if receipts else {"keys": []})
    table = Table([*routes(gate, operations), *client_routes(), *extra_routes], lifespan)
    return Telemetry(_cors(table, configured.cors_origins), write_line, count)


def from_environment() -> ASGIApp:
    """The application of a worker process."""
    lines = configure_logging()
    app = create_app(settings.from_environment(), write_line=lines.write)
    gc.freeze()  # what a process starts with stays as long as it does
    gc.enable()
    return app


def _metrics(place: MetricsSettings) -> tuple[Count, Callable[[], Coroutine[Any, Any, None]]]:
    """What counts a request, and what lets the counts be scraped until it is cancelled."""
    from . import metrics, scraping  # noqa: PLC0415  who asks for no metrics is to pay nothing for them

    requests = metrics.RequestMetrics()
    return requests.count, partial(scraping.serve, metrics.metrics_app(requests), place)


def _cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """CORS of the API itself; the bucket has rules of its own for the PUT and the GET."""
    if not origins:
        return app
    from starlette.middleware.cors import CORSMiddleware  # noqa: PLC0415  seldom needed, and slow to load

    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
        expose_headers=["Location", "Retry-After", "X-Request-Id"],
        max_age=600,
    )
