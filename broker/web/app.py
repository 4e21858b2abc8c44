"""The Starlette application. Any ASGI server can run it; importing it loads neither boto3 nor the metrics."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from broker.service.assembly import Deployment

from .address_limit import AddressLimit
from .assets import client_routes
from .authentication import Authenticator
from .cors import CorsFields, CorsPreflight, CorsRules
from .lean_starlette import LeanStarlette
from .operations import Operations
from .problems import EXCEPTION_HANDLERS
from .request_log import CountRequest, RequestLog, log_line
from .routes import routes
from .uppy_routes import uppy_routes

log = logging.getLogger("broker.web")

BackgroundTask = Callable[[], Coroutine[Any, Any, Any]]
"""Runs beside the requests, from the start of the application to its end."""


def create_app(
    deployment: Deployment,
    *,
    extra_routes: Sequence[Route] = (),
    write_line: Callable[[bytes], object] = log_line,
    count_request: CountRequest | None = None,
    background: Sequence[BackgroundTask] = (),
) -> Starlette:
    """Return the application of one process.

    ``extra_routes`` are pages that a command adds to the API. ``write_line`` receives the log line of each request,
    ``count_request`` its measurements. ``broker.server`` reads the rules for its own responses from ``app.state``: the
    CORS rules as ``cors``, and the seconds for which an idle connection is kept as ``keep_alive``.
    """
    settings, verifier = deployment.settings, deployment.verifier
    authenticator = Authenticator(verifier, deployment.services, settings.missing, deployment.clock)
    cors = CorsRules(settings.cors_origins)
    middleware = [Middleware(RequestLog, write_line, count_request)]
    if cors:
        middleware = [Middleware(CorsFields, cors), *middleware, Middleware(CorsPreflight, cors)]
    if deployment.address_limiter:
        middleware.append(Middleware(AddressLimit, deployment.address_limiter, settings.trusted_proxies))
    shared = deployment.shared_counts
    app = LeanStarlette(
        routes=[
            *routes(authenticator, Operations(deployment)),
            *uppy_routes(authenticator),
            *client_routes(),
            *extra_routes,
        ],
        middleware=middleware,
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=_lifespan(deployment, [verifier.keys.refresh, *([shared.start] if shared else ()), *background]),
    )
    app.state.cors, app.state.keep_alive = cors, settings.keep_alive
    app.state.public_url, app.state.upload_routes = settings.public_url, settings.upload_routes
    return app


def _lifespan(
    deployment: Deployment, background: Sequence[BackgroundTask]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Return a lifespan that logs the warnings, runs the ``background`` tasks, and closes the stores at the end."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        for warning in deployment.settings.warnings:
            log.warning(json.dumps({"event": "broker.warning_raised", "message": warning}))
        tasks = [asyncio.create_task(task()) for task in background]
        yield
        for task in tasks:
            task.cancel()
        if deployment.services:
            await deployment.services.proxied_uploads.close()
        await deployment.close()

    return lifespan
