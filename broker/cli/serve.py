"""``broker serve``: its configuration and its listening sockets, and then one process that serves or several."""

import gc
import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from broker import settings
from broker.server import file_descriptors
from broker.server.exits import Exit, StartError
from broker.server.listeners import listen
from broker.server.log_handler import configure_logging
from broker.server.uvicorn_server import Server

log = logging.getLogger("broker.cli")

APPLICATION: Final = "broker.cli.application:from_environment"
"""Loaded by name, because the parent of several workers does not need it."""


def run(host: str, port: int, workers: int, env_file: Path | None) -> int:
    """Serve until told to stop; returns the exit status, and raises ``StartError``."""
    load_env_file(env_file)
    try:
        _check_ports(settings.from_environment().metrics, port, workers)
    except settings.SettingsError as error:
        print("broker: the configuration is wrong:", *error.faults, sep="\n  ", file=sys.stderr)
        return Exit.WRONG_CALL
    configure_logging()  # first: where standard output is closed, a socket would become descriptor 1
    listeners = listen(host, port)
    file_descriptors.raise_limit()
    for listener in listeners:
        address, its_port, *_ = listener.getsockname()
        log.info(json.dumps({"event": "broker.listener_opened", "address": address, "port": its_port}))
    if workers == 1:
        return Server(APPLICATION, lambda: None).serve_until_stopped(listeners)
    from broker.server.supervisor import Supervisor  # noqa: PLC0415  a single process does not need it, nor multiprocessing

    gc.enable()  # for a process that only watches; those that serve enable it with the application
    return Supervisor(APPLICATION, workers, listeners).run()


def _check_ports(metrics: settings.MetricsSettings | None, port: int, workers: int) -> None:
    if metrics and port in metrics.ports:
        raise settings.SettingsError(["BROKER_METRICS_PORT must not have the service's own --port in it"])
    if metrics and len(metrics.ports) < workers:
        first = metrics.ports.start
        example = f"{first}-{first + workers - 1}"
        raise settings.SettingsError([f"BROKER_METRICS_PORT must have a port for each of --workers, such as {example}"])


def load_env_file(path: Path | None) -> None:
    """Put a file's settings into the environment, which wins over the file; raises ``StartError``.

    Without a ``path`` it is .env in the working directory, if there is one.
    """
    if not path and not os.path.lexists(".env"):
        return
    name = f"--env-file {path}" if path else ".env"
    try:
        text = (path or Path(".env")).read_text(encoding="utf-8")
        for variable, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items():
            os.environ.setdefault(variable, value or "")
    except OSError as error:
        remedy = "Make it a readable file" if path else "Make it a readable file, or remove it"
        raise StartError(f"{name} cannot be read: {error.strerror}. {remedy}.") from None
    except ValueError:  # no UTF-8, or a name or a value that no environment can hold
        raise StartError(f"{name} is not a file of NAME=value lines in UTF-8. Correct it.") from None
