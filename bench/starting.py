"""The time to start, and the memory of the serving process, beside a bare Starlette application (F11).

The time runs from the start of the process, with the interpreter and all imports, to its first response of 200: of
``/healthz`` for the broker, of a route without work for the peer. The client tries to connect every two
milliseconds, which is the resolution of one round. Each is started once before, so that the compiled modules exist.

Memory is the resident set after a load of creates, in MB of 1,000,000 bytes, including pages that are shared with
other processes. Memory during proxied uploads (F13) and after a long time (F12) is not measured here.
"""

import http.client
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from . import ours
from .answering import bare, of_bare
from .figures import Effort, Figure, Spread, at_most, compared
from .processes import Server, free_port, serving
from .wrk import Request, load

MB = 1_000_000
STARTS = 3  # of each side, to measure memory


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F11: the time to start, and the memory."""
    for _ in range(2):
        of_ours(), of_other()
    pairs = [(of_ours(), of_other()) for _ in range(effort.rounds)]
    name = "bare Starlette app"
    yield compared("F11", f"start to first response: ours / {name}", at_most(1.6), "ms", pairs, name, ours_above=True)
    create = ours.create(ours.token())
    mine = Spread.of([resident(ours.broker(), create, effort) for _ in range(STARTS)])
    others = Spread.of([resident(bare(), of_bare(create), effort) for _ in range(STARTS)])
    yield Figure("F11", "memory while it serves, MB", at_most(60), mine, "MB", mine, others, name)


def of_ours() -> float:
    """Return the start time of the broker, in milliseconds."""
    port = free_port()
    environment = {**ours.ENVIRONMENT, "BROKER_METRICS_PORT": ours.metrics_ports()}
    return started(ours.command(port), port, environment, "/healthz")


def of_other() -> float:
    """Return the start time of the bare application, in milliseconds."""
    port = free_port()
    return started(ours.module("bench.bare", str(port)), port, ours.HERE, of_bare(ours.link("")).path)


def started(command: Sequence[str], port: int, environment: Mapping[str, str], path: str) -> float:
    """Return the milliseconds from the start of ``command`` to its first response."""
    start = time.perf_counter()
    with serving(command, port, environment):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        end = time.perf_counter()
        connection.close()
    if status != 200:
        raise RuntimeError(f"{path} returned {status}")
    return (end - start) * 1e3


def resident(starting: AbstractContextManager[Server], request: Request, effort: Effort) -> float:
    """Return the resident memory after a load, in MB."""
    with starting as server:
        load(server.url, [request], effort.seconds)
        return server.resident() / MB
