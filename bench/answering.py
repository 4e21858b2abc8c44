"""Requests a second and CPU time of one process beside its peers, and of two workers: F4 to F7, F10, F14 and F15.

wrk sends the requests with 64 connections and one thread, on the same machine. The two servers of a pair are
measured in turns. A figure covers the whole request, from the socket to the socket. The broker does everything that
it does for a user's request; the modules of the peers say what the peers do. Connection set-up, TLS and the warm-up
of each server are not measured.

Microseconds in a target are CPU time of the server's process.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from . import ours
from .figures import Effort, Figure, Spread, Target, at_least, at_most, compared
from .identity import Identity
from .peers import servers
from .processes import Server, free_port, serving
from .wrk import Load, Request, load

BARE = "bare Starlette route"
USERS = 1_000
BATCH = 100


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure all rows of this module."""
    bearer = ours.token()
    create, link = ours.create(bearer), ours.link(bearer)
    with ours.broker() as broker, bare() as other:
        yield versus(effort, "F4", "create, HS256", at_least(0.78), (broker, [create]), (other, [of_bare(create)]))
        yield versus(effort, "F7", "download link", at_least(0.85), (broker, [link]), (other, [of_bare(link)]))
        yield from batch(effort, broker, other, bearer)
        yield tail(effort, broker, create)
        for peer, target in peers(bearer):
            with serving(peer.command(port := free_port()), port, peer.environment) as server:
                yield from both(effort, target, (broker, [create]), (server, [peer.request]), peer)
    with published(USERS) as (environment, tokens), ours.broker(environment) as broker, bare() as other:
        creates = [ours.create(each) for each in tokens]
        pair = (broker, creates), (other, [of_bare(each) for each in creates])
        yield versus(effort, "F5", f"create, ES256 by JWKS, {USERS} users", at_least(0.74), *pair)
    yield workers(effort, create)


def peers(bearer: str) -> list[tuple[servers.Peer, Target]]:
    """Return the peers of F6, with the target of each for the CPU time of a create."""
    return [
        (servers.tutorial(ours.JWT_SECRET, bearer), at_least(12)),
        (servers.companion(), at_least(10)),
        (servers.better_upload(ours.JWT_SECRET, bearer), at_least(2.7)),
    ]


@contextlib.contextmanager
def bare() -> Iterator[Server]:
    """Start the bare Starlette route, which does no work."""
    port = free_port()
    with serving(ours.module("bench.bare", str(port)), port, ours.HERE) as server:
        yield server


def of_bare(request: Request) -> Request:
    """Return the same request, for the bare route."""
    return Request(request.path.removeprefix("/api/v1"), request.method, request.headers, request.body)


@contextlib.contextmanager
def published(users: int) -> Iterator[tuple[Mapping[str, str], Sequence[str]]]:
    """Yield the environment of a broker that verifies tokens by a JWKS, and one token for each of its users."""
    with TemporaryDirectory() as folder:
        identity = Identity(Path(folder))
        port = free_port()
        command = ours.module("http.server", str(port), "--bind", "127.0.0.1", "--directory", folder)
        with serving(command, port, {}) as server:
            kept = {name: value for name, value in ours.ENVIRONMENT.items() if name != "JWT_SECRET"}
            yield {**kept, "JWT_JWKS_URL": f"{server.url}/{identity.name}"}, identity.tokens(users)


Side = tuple[Server, Sequence[Request]]


def versus(effort: Effort, row: str, measure: str, target: Target, mine: Side, theirs: Side) -> Figure:
    """Compare the requests a second of the broker and of the bare route, measured in turns."""
    rates = [(one.rate, other.rate) for one, other in rounds(effort, mine, theirs)]
    return compared(row, f"{measure}: ours / {BARE}", target, "requests/s", rates, BARE, ours_above=True)


def both(effort: Effort, target: Target, mine: Side, theirs: Side, peer: servers.Peer) -> Iterator[Figure]:
    """Compare the CPU time of a create; the requests a second have no target, because Node uses a second core."""
    found = rounds(effort, mine, theirs)
    rates, costs = [(a.rate, b.rate) for a, b in found], [(a.cpu, b.cpu) for a, b in found]
    measure = f"create, HS256: ours / {peer.name}"
    yield compared("F6", measure, None, "requests/s", rates, peer.name, ours_above=True)
    measure = f"CPU of a create: {peer.name} / ours"
    yield compared("F6", measure, target, "µs", costs, peer.name, ours_above=False)


class Round(NamedTuple):
    """The result of one load: requests a second, and the server's CPU time of each in microseconds."""

    rate: float
    cpu: float


def rounds(effort: Effort, mine: Side, theirs: Side) -> list[tuple[Round, Round]]:
    """Measure both sides in turns, after a warm-up of each."""
    for side in (mine, theirs):
        once(effort, *side)
    return [(once(effort, *mine), once(effort, *theirs)) for _ in range(effort.rounds)]


def once(effort: Effort, server: Server, requests: Sequence[Request], *, connections: int = 64) -> Round:
    """Measure one load."""
    before = server.cpu()
    done = load(server.url, requests, effort.seconds, connections=connections)
    return Round(done.rate, (server.cpu() - before) / done.requests * 1e6)


def cpu(effort: Effort, server: Server, requests: Sequence[Request], *, connections: int = 64) -> float:
    """Return the server's CPU time of one request, in microseconds."""
    return once(effort, server, requests, connections=connections).cpu


def batch(effort: Effort, broker: Server, other: Server, bearer: str) -> Iterator[Figure]:
    """Measure batches of 100 files: the CPU time of one file, alone and relative to a request to the bare route.

    The limit in microseconds is for a machine on which the bare route needs 53 for a request; the ratio is for any
    machine.
    """
    many, one = [ours.create(bearer, files=BATCH)], [of_bare(ours.create(bearer))]
    pairs = [(cpu(effort, broker, many, connections=4) / BATCH, cpu(effort, other, one)) for _ in range(effort.rounds)]
    measure = f"batch of {BATCH}: a file's CPU"
    files = Spread.of([file for file, _ in pairs])
    yield Figure("F10", measure, at_most(15), files, "µs", files)
    beside = f"{measure} / a request's to the {BARE}"
    yield compared("F10", beside, at_most(0.283), "µs", pairs, BARE, ours_above=True)  # 15 / 53


def tail(effort: Effort, broker: Server, create: Request) -> Figure:
    """Compare the 99th percentile of latency with the median, at half the peak load of one process."""
    found = [at_half(effort, broker, create) for _ in range(effort.rounds)]
    ratio = Spread.of([each.p99 / each.p50 for each in found])
    slow, middle = Spread.of([each.p99 for each in found]), Spread.of([each.p50 for each in found])
    return Figure("F14", "create at half the peak: p99 / p50", at_most(5), ratio, "ms", slow, middle, "p50")


def at_half(effort: Effort, broker: Server, create: Request) -> Load:
    """Send half the peak load: each of 64 connections pauses for as long as it waits."""
    peak = load(broker.url, [create], effort.seconds)
    return load(broker.url, [create], effort.seconds, pause=64 / peak.rate * 2 * 1e3)


def workers(effort: Effort, create: Request) -> Figure:
    """Compare two workers with one."""
    with ours.broker(options=("--workers", "2")) as two, ours.broker(options=("--workers", "1")) as one:
        time.sleep(1)  # until both workers have started
        row = versus(effort, "F15", "create", at_least(1.5), (two, [create]), (one, [create]))
    return Figure("F15", "create: two workers / one", row.target, row.value, row.unit, row.ours, row.peer, "one worker")
