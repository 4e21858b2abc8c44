"""``broker serve``: run the service in one process or in several."""

import importlib.util
import json
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from broker import settings
from broker.server import file_descriptors
from broker.server.exits import StartError
from broker.server.listeners import adopt, listen
from broker.server.log_handler import configure_logging
from broker.server.service_manager import notify_ready
from broker.server.startup import finish_start
from broker.server.uvicorn_server import Server, check_uvicorn_version

from .env_file import load_env_file

log = logging.getLogger("broker.cli")

APPLICATION: Final = "broker.cli.application:from_environment"
"""The import string of the application, which the parent of several workers does not import."""

DEFAULT_HOST: Final = "127.0.0.1"
"""The address to listen on without an option."""

DEFAULT_PORT: Final = 8000
"""The port to listen on without an option."""

TRACING_MISSING: Final = (
    "OTEL_TRACES_EXPORTER or an OTEL_EXPORTER_OTLP endpoint is set, and OpenTelemetry is not installed: "
    "pip install 'r2-upload-broker[otel]', or set OTEL_TRACES_EXPORTER=none"
)
"""The fault of a configured export without its library."""

_TRACING_NEEDS: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


@dataclass(frozen=True)
class Place:
    """Where the service listens: at the path ``uds``, at the descriptor ``fd``, or at a host and a port."""

    host: str | None = None
    port: int | None = None
    uds: Path | None = None
    fd: int | None = None

    def check(self) -> None:
        """Raise ``StartError`` if the options contradict each other."""
        given = [f"--{name}" for name, value in vars(self).items() if value is not None]
        if len(given) > 1 and given != ["--host", "--port"]:
            raise StartError(f"{given[-1]} cannot be combined with {given[0]}. Remove one of them.")

    @property
    def tcp(self) -> tuple[str, int] | None:
        """The host and the port that the service opens, if it opens one."""
        if self.uds is not None or self.fd is not None:
            return None
        return DEFAULT_HOST if self.host is None else self.host, DEFAULT_PORT if self.port is None else self.port

    def listen(self) -> tuple[list[socket.socket], Callable[[], object]]:
        """Return the listening sockets, and a function that removes their file; raise ``StartError``."""
        if self.tcp:
            return listen(*self.tcp), _do_nothing
        if self.fd is not None:
            return [adopt(self.fd)], _do_nothing
        from broker.server.socket_file import SocketFile  # noqa: PLC0415  Windows does not have its sockets

        file = SocketFile(self.uds or Path())
        return [file.listener], file.remove


def run(place: Place, workers: int, env_file: Path | None) -> int:
    """Serve until stopped, and return the exit status; raise ``StartError`` or ``SettingsError``."""
    place.check()
    check_uvicorn_version()
    load_env_file(env_file)
    configured = settings.from_environment()
    _check_ports(configured.metrics, place.tcp, workers)
    _check_tracing(configured)
    configure_logging()  # first: if standard output is closed, a socket could become descriptor 1
    listeners, remove_file = place.listen()
    try:
        return _serve(listeners, workers, remove_file)
    finally:
        remove_file()


def _serve(listeners: list[socket.socket], workers: int, on_stop: Callable[[], object]) -> int:
    file_descriptors.raise_limit()
    for listener in listeners:
        log.info(json.dumps({"event": "broker.listener_opened", **_name(listener)}))
    on_ready = partial(notify_ready, os.environ.get("NOTIFY_SOCKET", ""))
    if workers == 1:
        return Server(APPLICATION, on_ready, on_stop).serve_until_stopped(listeners)
    from broker.server.supervisor import Supervisor  # noqa: PLC0415  one process does not need it

    finish_start()
    return Supervisor(APPLICATION, workers, listeners, on_ready, on_stop).run()


def _name(listener: socket.socket) -> dict[str, str | int]:
    """Return the fields of the log that name the socket."""
    name = listener.getsockname()
    return {"address": name[0], "port": name[1]} if isinstance(name, tuple) else {"path": os.fsdecode(name)}


def _check_tracing(configured: settings.Settings) -> None:
    if not configured.exports_traces:
        return
    try:
        is_installed = all(map(importlib.util.find_spec, _TRACING_NEEDS))
    except ModuleNotFoundError:  # of a package above
        is_installed = False
    if not is_installed:
        raise settings.SettingsError([TRACING_MISSING])


def _check_ports(metrics: settings.MetricsSettings | None, tcp: tuple[str, int] | None, workers: int) -> None:
    if metrics and tcp and tcp[1] in metrics.ports:
        raise settings.SettingsError([f"BROKER_METRICS_PORT must not include --port {tcp[1]}; choose other ports"])
    if metrics and len(metrics.ports) < workers:
        first = metrics.ports.start
        example = f"{first}-{first + workers - 1}"
        raise settings.SettingsError([f"BROKER_METRICS_PORT must have a port for each of --workers, such as {example}"])


def _do_nothing() -> None:
    """Do nothing: only a Unix socket has a file."""
