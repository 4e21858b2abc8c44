"""The composition root: settings in, ASGI application out. Importing it loads no boto3, and nothing of metrics."""

import asyncio
import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from starlette.routing import Route
from starlette.types import ASGIApp

from broker import service, settings
from broker.auth.tokens import TokenVerifier
from broker.core.receipts import Receipts
from broker.core.sigv4 import Presigner
from broker.settings import MetricsSettings, Settings, StoreSettings
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
    staging_store: ObjectStore | None = None,
    clock: Callable[[], float] = time.time,
    extra_routes: Sequence[Route] = (),
    write_line: Callable[[str], object] = access_log.info,
    lines_dropped: Callable[[], int] = int,
) -> ASGIApp:
    """The application of one process.

    ``store`` and ``staging_store`` stand in for the configured one, the latter as the staging bucket's own credentials
    see it; ``extra_routes`` are pages that a command adds to the API. ``write_line`` takes the line of each request,
    ``lines_dropped`` returns how many lines of the log were dropped.
    """
    receipts = Receipts(configured.secrets, issuer=configured.issuer) if configured.secrets else None
    place = configured.store
    services: service.Services | None = None
    if place and receipts:
        if store is None:
            store, staging_store = _stores(place, clock)
        services = service.build(configured, place, store, receipts, clock)
    else:
        store = staging_store = None

    verifier = TokenVerifier(configured.tokens)
    count, scraped = _metrics(configured.metrics, store, lines_dropped) if configured.metrics else (None, None)

    # The start waits neither for the identity service nor for a port of the metrics
    beside = [verifier.keys.refresh, *([scraped] if scraped else ())]
    lifespan = _lifespan(configured.warnings, beside, [each for each in (store, staging_store) if each])
    gate = Gate(verifier, services, configured.missing, clock)
    jwks = receipts.jwks if receipts else {"keys": []}
    operations = Operations(configured, store, verifier.keys, jwks, staging_store)
    table = Table([*routes(gate, operations), *client_routes(), *extra_routes], lifespan)
    return Telemetry(_cors(table, configured.cors_origins), write_line, count)


def from_environment() -> ASGIApp:
    """The application of a worker process."""
    lines = configure_logging()
    app = create_app(settings.from_environment(), write_line=lines.write, lines_dropped=lines.dropped)
    gc.freeze()  # what a process starts with stays as long as it does
    gc.enable()
    return app


def _lifespan(
    warnings: Sequence[str], beside: Sequence[Callable[[], Coroutine[Any, Any, Any]]], stores: Sequence[ObjectStore]
) -> Callable[[ASGIApp], AbstractAsyncContextManager[None]]:
    """Start with ``warnings`` in the log and what runs ``beside`` the requests; close the ``stores`` at the end."""

    @asynccontextmanager
    async def lifespan(_app: ASGIApp) -> AsyncIterator[None]:
        for warning in warnings:
            log.warning(json.dumps({"event": "warning", "message": warning}))
        tasks = [asyncio.create_task(start()) for start in beside]
        yield
        for task in tasks:
            task.cancel()
        for store in stores:
            await store.close()

    return lifespan


def _stores(place: StoreSettings, clock: Callable[[], float]) -> tuple[ObjectStore, ObjectStore | None]:
    """The store, and the same as the staging bucket's own credentials see it, if it has any."""
    store, staging_store = (
        R2ObjectStore(Presigner(credentials, place.endpoint), clock=clock, concurrency=place.concurrency)
        for credentials in (place.credentials, place.staging_credentials)
    )
    return store, staging_store if place.staging_credentials != place.credentials else None


def _metrics(
    place: MetricsSettings, store: ObjectStore | None, lines_dropped: Callable[[], int]
) -> tuple[Count, Callable[[], Coroutine[Any, Any, None]]]:
    """What counts a request, and what lets the counts be scraped until it is cancelled."""
    from . import metrics, scraping  # noqa: PLC0415  who asks for no metrics is to pay nothing for them

    requests = metrics.RequestMetrics()

    def facts() -> metrics.ProcessFacts:
        return metrics.ProcessFacts(lines_dropped(), store.clock_skew if store else None)

    return requests.count, partial(scraping.serve, metrics.metrics_app(requests, facts), place)


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
