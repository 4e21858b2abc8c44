"""The broker as ``broker serve`` runs it: with token verification, limits, metrics, request id, log and HTTP checks.

The log goes to a file. The rate limit is checked, and higher than the load.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jwt

from .peers.servers import FILENAME, SIZE, STORE, TYPE
from .processes import Server, free_port, serving
from .wrk import Request

JWT_SECRET = "a secret of the benchmark, long enough for HS256"
KEY = "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3"
HERE: Mapping[str, str] = {"PYTHONPATH": str(Path(__file__).parents[1])}
ENVIRONMENT: Mapping[str, str] = {**STORE, "JWT_SECRET": JWT_SECRET, "BROKER_RATE_LIMIT": "1000000000"}


@contextlib.contextmanager
def broker(
    environment: Mapping[str, str] = ENVIRONMENT,
    options: Sequence[str] = (),
    *,
    started: Callable[[int], Sequence[str]] | None = None,
) -> Iterator[Server]:
    """Start a broker. ``started`` returns another command that starts one at a port."""
    port = free_port()
    scraped = {"BROKER_METRICS_PORT": metrics_ports()}
    started_by = started(port) if started else command(port, options)
    with serving(started_by, port, {**environment, **scraped}) as server:
        yield server


def metrics_ports() -> str:
    """Return a range of two ports, for up to two workers."""
    first = free_port()
    return f"{first}-{first + 1}"


def command(port: int, options: Sequence[str] = ()) -> list[str]:
    """Return the command that starts the broker."""
    return module("broker", "serve", "--port", str(port), *options)


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module."""
    return [sys.executable, "-m", name, *arguments]


def token(subject: str = "user-1") -> str:
    """Return a token that is valid for a day."""
    return jwt.encode({"sub": subject, "exp": int(time.time()) + 86_400}, JWT_SECRET, algorithm="HS256")


def create(bearer: str, *, files: int = 0) -> Request:
    """Return the request that creates one upload, or a batch of ``files``."""
    file = {"filename": FILENAME, "contentType": TYPE, "size": SIZE}
    if files:
        return post("/api/v1/uploads/batch", bearer, {"files": [file] * files})
    return post("/api/v1/uploads", bearer, file)


def post(path: str, bearer: str, document: object) -> Request:
    """Return a POST request with a JSON document."""
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    return Request(path, "POST", headers, json.dumps(document))


def link(bearer: str) -> Request:
    """Return the request for one download link."""
    return Request(f"/api/v1/downloads/{KEY}", headers={"Authorization": f"Bearer {bearer}"})
