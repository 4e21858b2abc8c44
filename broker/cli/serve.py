"""``broker serve``: the service under uvicorn."""

import gc
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from dotenv import dotenv_values

from broker import settings
from broker.web.lines import configure_logging

GRACEFUL_STOP = 15
"""Seconds in which requests in flight may end after a SIGTERM."""


def run(host: str, port: int, workers: int, env_file: Path | None) -> int:
    """Serve until told to stop; 2 when the configuration is wrong, with every fault on standard error."""
    try:
        load_env_file(env_file)
        _check_ports(settings.from_environment().metrics, port, workers)
    except settings.SettingsError as error:
        print("broker: the configuration is wrong:", *error.faults, sep="\n  ", file=sys.stderr)
        return 2
    configure_logging()
    if workers > 1:
        gc.enable()  # for a process that only watches; who serves turns it on with the application
    uvicorn.run(
        "broker.web.app:from_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        **server_options(),
    )
    return 0


def _check_ports(metrics: settings.MetricsSettings | None, port: int, workers: int) -> None:
    if metrics and port in metrics.ports:
        raise settings.SettingsError(["BROKER_METRICS_PORT must not have the service's own --port in it"])
    if metrics and len(metrics.ports) < workers:
        first = metrics.ports.start
        example = f"{first}-{first + workers - 1}"
        raise settings.SettingsError([f"BROKER_METRICS_PORT must have a port for each of --workers, such as {example}"])


def server_options() -> dict[str, Any]:
    """How uvicorn serves us, every choice written out."""
    return {
        "http": "broker.web.guard:GuardedProtocol",
        "ws": "none",
        "loop": "uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        "lifespan": "on",
        "access_log": False,  # ours is one JSON line a request, without the query
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": GRACEFUL_STOP,
    }


def load_env_file(path: Path | None) -> None:
    """Put a file's settings into the environment, which wins over the file; raises ``SettingsError``."""
    if path and not path.is_file():
        raise settings.SettingsError(["--env-file names no file"])
    try:
        for name, value in dotenv_values(path or ".env", interpolate=False).items():
            os.environ.setdefault(name, value or "")
    except ValueError:  # no UTF-8, or a name or a value that no environment can hold
        raise settings.SettingsError([f"{path or '.env'} is no file of NAME=value lines in UTF-8"]) from None
