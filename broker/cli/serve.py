"""``broker serve``: run the service in one process or in several."""

import importlib.util
import json
import logging
from pathlib import Path
from typing import Final

from broker import settings
from broker.server import file_descriptors
from broker.server.listeners import listen
from broker.server.log_handler import configure_logging
from broker.server.startup import finish_start
from broker.server.uvicorn_server import Server, check_uvicorn_version

from .env_file import load_env_file

log = logging.getLogger("broker.cli")

APPLICATION: Final = "broker.cli.application:from_environment"
"""The import string of the application, which the parent of several workers does not import."""


TRACING_MISSING: Final = (
    "OTEL_TRACES_EXPORTER or an OTEL_EXPORTER_OTLP endpoint is set, and OpenTelemetry is not installed: "
    "pip install 'r2-upload-broker[otel]', or set OTEL_TRACES_EXPORTER=none"
)
"""The fault of a configured export without its library."""

_TRACING_NEEDS: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


def run(host: str, port: int, workers: int, env_file: Path | None) -> int:
    """Serve until stopped, and return the exit status; raise ``StartError`` or ``SettingsError``."""
    check_uvicorn_version()
    load_env_file(env_file)
    configured = settings.from_environment()
    _check_ports(configured.metrics, port, workers)
    _check_tracing(configured)
    configure_logging()  # first: if standard output is closed, a socket could become descriptor 1
    listeners = listen(host, port)
    file_descriptors.raise_limit()
    for listener in listeners:
        address, listening_port, *_ = listener.getsockname()
        log.info(json.dumps({"event": "broker.listener_opened", "address": address, "port": listening_port}))
    if workers == 1:
        return Server(APPLICATION, lambda: None).serve_until_stopped(listeners)
    from broker.server.supervisor import Supervisor  # noqa: PLC0415  one process does not need it

    finish_start()
    return Supervisor(APPLICATION, workers, listeners).run()


def _check_tracing(configured: settings.Settings) -> None:
    if not configured.exports_traces:
        return
    try:
        is_installed = all(map(importlib.util.find_spec, _TRACING_NEEDS))
    except ModuleNotFoundError:  # of a package above
        is_installed = False
    if not is_installed:
        raise settings.SettingsError([TRACING_MISSING])


def _check_ports(metrics: settings.MetricsSettings | None, port: int, workers: int) -> None:
    if metrics and port in metrics.ports:
        raise settings.SettingsError([f"BROKER_METRICS_PORT must not include --port {port}; choose other ports"])
    if metrics and len(metrics.ports) < workers:
        first = metrics.ports.start
        example = f"{first}-{first + workers - 1}"
        raise settings.SettingsError([f"BROKER_METRICS_PORT must have a port for each of --workers, such as {example}"])
