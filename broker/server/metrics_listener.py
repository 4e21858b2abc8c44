"""The port on which Prometheus scrapes a process, on the process's own event loop.

Rules of this module
- Each worker process has its own port, the first free one, and is a scrape target of its own: workers share no counts.
- The ports stay the same while processes start and end: a new process waits for the port of the one that it replaces.
- Metrics never stop the service. A process without a port logs that once, and retries.
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

RETRY_INTERVAL: Final = 1.0
"""Seconds between two attempts to find a free port."""

WARN_AFTER: Final = 20
"""Attempts after which a log line reports that there is no free port.

A process that stops keeps its port for 15 seconds at most.
"""


async def serve(app: ASGIApp, metrics: MetricsSettings) -> None:
    """Serve scrapes until cancelled."""
    listener = await _first_free_port(metrics)
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
        _abort_connections(state)


def _abort_connections(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.transport.abort()


async def _first_free_port(metrics: MetricsSettings) -> socket.socket:
    """Return a listening socket, and retry until there is a free port."""
    family = socket.AF_INET6 if ":" in metrics.host else socket.AF_INET
    attempts = 0
    while True:
        for port in metrics.ports:
            try:
                return socket.create_server((metrics.host, port), family=family)
            except OSError as error:
                reason = error.strerror
        attempts += 1
        if attempts == WARN_AFTER:
            message = f"no port of BROKER_METRICS_PORT is free for this process, which retries every second: {reason}"
            log.warning(json.dumps({"event": "broker.warning_raised", "message": message}))
        await asyncio.sleep(RETRY_INTERVAL)
