"""How long the service takes to start, and how much memory it holds while it serves (F11), beside a bare Starlette app.

Counted: the time from the start of the process, with the interpreter and all imports, until its first answer of 200
was read: ours to ``/healthz``, the other's on a route that does nothing. Whether it takes connections is tried every
two milliseconds, which is how exact one round is. Each is started once before, so that what Python compiles is there.

Memory is the resident set of the process after it answered a load of creates, in MB of 1 000 000 bytes, with the pages
of shared libraries that others have too. Not counted: what it holds when uploads pass through it (F13), or much later
(F12).
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
STARTS = 3  # of each, for the memory


def figures(effort: Effort) -> Iterator[Figure]:
    """Both halves of F11."""
    for _ in range(2):
        of_ours(), of_other()
    pairs = [(of_ours(), of_other()) for _ in range(effort.rounds)]
    name = "bare Starlette app"
    yield compared("F11", f"start to first answer: ours / {name}", at_most(1.6), "ms", pairs, name, ours_above=True)
    create = ours.create(ours.token())
    mine = Spread.of([resident(ours.broker(), create, effort) for _ in range(STARTS)])
    others = Spread.of([resident(bare(), of_bare(create), effort) for _ in range(STARTS)])
    yield Figure("F11", "memory while it serves, MB", at_most(60), mine, "MB", mine, others, name)


def of_ours() -> float:
    port = free_port()
    environment = {**ours.ENVIRONMENT, "BROKER_METRICS_PORT": ours.metrics_ports()}
    return started(ours.command(port), port, environment, "/healthz")


def of_other() -> float:
    port = free_port()
    return started(ours.module("bench.bare", str(port)), port, ours.HERE, of_bare(ours.link("")).path)


def started(command: Sequence[str], port: int, environment: Mapping[str, str], path: str) -> float:
    """Milliseconds until the first answer."""
    start = time.perf_counter()
    with serving(command, port, environment):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        end = time.perf_counter()
        connection.close()
    if status != 200:
        raise RuntimeError(f"{path} was answered {status}")
    return (end - start) * 1e3


def resident(starting: AbstractContextManager[Server], request: Request, effort: Effort) -> float:
    """MB after a load."""
    with starting as server:
        load(server.url, [request], effort.seconds)
        return server.resident() / MB
