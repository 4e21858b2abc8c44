"""F25: the longest time for which one event keeps the broker's loop from all others; and a log that nobody reads.

Measured in the broker's own process (``changed.timed``), on asyncio's loop, for uvloop shows nobody its events. Each
callback and each step of a task is an event, and the longest of a call is a round's figure. With the log it is the
requests that count: as many are sent as fill the pipe several times.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import ours
from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server, free_port, serving

from .changed import timed
from .client import PATIENCE, Client, by_turns
from .objects import KINDS
from .uploads import broker, confirm, create, created, look, run, store, users

LONGEST = at_most(10)  # milliseconds
CROWD = 200
LINES = 1_000
UNTIL_CALM = 0.5  # seconds after a call, in which what it left behind is done

Work = Callable[[Client, Server], Awaitable[None]]


def figures(effort: Effort) -> Iterator[Figure]:
    """All of F25."""
    with TemporaryDirectory() as folder, store() as behind:
        path = Path(folder) / "longest.json"
        with broker(behind, change=(timed, str(path))) as server:
            for words, work in WORK.items():
                rounds = Spread.of([once(server, path, work) for _ in range(effort.rounds)])
                yield Figure("F25", f"longest event: {words}", LONGEST, rounds, "ms", rounds)
    with store() as behind, unread(behind) as server:
        lost = Spread.of([run(unanswered(server))])
    measure = "creates that are not answered while nobody reads the log"
    yield Figure("F25", measure, at_most(0), lost, "", lost, Spread.of([LINES]), "of")


def once(server: Server, path: Path, work: Work) -> float:
    """Milliseconds of the longest event while this is done."""

    async def done() -> None:
        client = Client(server.port, patience=60)
        await work(client, server)
        await asyncio.sleep(UNTIL_CALM)
        client.close()

    longest(server, path)
    run(done())
    took, what = longest(server, path)
    print(f"  {took:.1f} ms: {what}", file=sys.stderr)
    return took


def longest(server: Server, path: Path) -> tuple[float, str]:
    """The longest event since the last look: milliseconds, and what ran."""
    path.unlink(missing_ok=True)
    os.kill(server.pid, signal.SIGUSR1)
    while not path.exists():
        time.sleep(0.01)
    took, what = json.loads(path.read_text())
    return took, what


async def confirmed(client: Client, _server: Server) -> None:
    """An upload in as many parts as there may be, until it is ready."""
    ticket = await created(client, users()[0], "wav")
    while (answered := await client.ask(confirm(ticket, users()[0]))).status == 202:
        pass
    if answered.status != 200:
        raise RuntimeError(f"a confirm was answered {answered.status}: {answered.body.decode(errors='replace')}")


async def looked_at(client: Client, _server: Server) -> None:
    """The status of the same."""
    ticket = await created(client, users()[0], "wav")
    answered = await client.ask(look(ticket, users()[0]))
    if answered.status != 200:
        raise RuntimeError(f"a status was answered {answered.status}")


async def crowded(client: Client, server: Server) -> None:
    """Many users at once, each on a connection of its own: the broker is held until all have sent their request."""
    os.kill(server.pid, signal.SIGSTOP)
    creates = [asyncio.ensure_future(created(client, bearer)) for bearer in users()[:CROWD]]
    await asyncio.sleep(UNTIL_CALM)
    os.kill(server.pid, signal.SIGCONT)
    await asyncio.gather(*creates)


async def batched(client: Client, _server: Server) -> None:
    """The largest calls that need no store."""
    bearer = users()[0]
    ticket = await created(client, bearer, "wav")
    for request in (
        ours.create(bearer, files=100),
        ours.post("/api/v1/downloads", bearer, {"keys": [ours.KEY] * 1_000}),
        ours.post(f"/api/v1/uploads/{ticket}/parts", bearer, {"from": 1, "to": 1_000}),
    ):
        answered = await client.ask(request)
        if answered.status >= 300:
            raise RuntimeError(f"{request.path} was answered {answered.status}")


PARTS = f"{KINDS['wav'].size // KINDS['flac'].size * 8:,}"
WORK: dict[str, Work] = {
    f"confirm of {PARTS} parts": confirmed,
    f"status of {PARTS} parts": looked_at,
    f"{CROWD} new connections with a create each": crowded,
    "100 files, 1,000 links, 1,000 part URLs in a call": batched,
}


@contextlib.contextmanager
def unread(behind: Server) -> Iterator[Server]:
    """A broker whose standard output is a pipe that nobody reads."""
    reading, writing = os.pipe()
    port = free_port()
    environment = {**ours.HERE, **ours.ENVIRONMENT, "R2_ENDPOINT": behind.url}
    try:
        with serving(ours.command(port), port, environment, output=writing) as server:
            yield server
    finally:
        os.close(reading)
        os.close(writing)


async def unanswered(server: Server) -> int:
    """How many creates are not answered, of as many as fill the pipe; after some that are not, none is tried."""
    client, found = Client(server.port, patience=PATIENCE / 5), list[bool]()

    async def one(number: int) -> None:
        if found.count(False) < 8:
            found.append((await client.ask(create(users()[number]))).status == 201)

    await by_turns(8, [lambda number=number: one(number) for number in range(LINES)])  # type: ignore[misc]
    client.close()
    return LINES - found.count(True)
