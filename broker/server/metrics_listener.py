"""The port where a process is scraped for its metrics, on its own event loop and within the limits of every port.

Rules of this module
- Each worker process has a port of its own, the first that is free, and is a target of its own: what one has counted
  another does not know.
- The ports stay the same while processes come and go: a new process waits for the port of the one whose place it takes.
- Metrics never stop the service. A process without a port says so once, and goes on trying.
"""

import asyncio
import json
import logging
import socket
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from broker.settings import MetricsSettings

from .protocol import HttpProtocol
from .uvicorn_internals import ServerState

log = logging.getLogger("broker.web")

PAUSE: Final = 1.0
"""Seconds between two looks for a free port."""

PATIENCE: Final = 20
"""Looks after which a line says that there is none: a process that stops keeps its port for 15 seconds at most."""


async def serve(app: ASGIApp, place: MetricsSettings) -> None:
    """Answer scrapes until cancelled."""
    listener = await _first_free(place)
    state = ServerState()
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpProtocol(config=config, server_state=state, app_state={}), sock=listener
    )
    log.info(json.dumps({"event": "broker.metrics_listener_opened", "port": listener.getsockname()[1]}))
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        _abort(state)


def _abort(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.transport.abort()


async def _first_free(place: MetricsSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    looks = 0
    while True:
        for port in place.ports:
            try:
                return socket.create_server((place.host, port), family=family)
            except OSError as error:
                reason = error.strerror
        looks += 1
        if looks == PATIENCE:
            message = f"this process has no port for its metrics, and goes on trying: {reason}"
            log.warning(json.dumps({"event": "broker.warning_raised", "message": message}))
        await asyncio.sleep(PAUSE)
