"""F25: the longest time for which a single event blocks the loop of the broker, and a log that is not read.

``changed.timed`` measures every callback and every step of a task in the broker's process. It runs on asyncio's own
loop, because uvloop offers no hook for its events. The value of a round is its longest event. The last row counts
requests instead: enough are sent to fill the pipe of the log several times.
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
from .client import TIMEOUT, Client, closed_loop
from .objects import KINDS
from .uploads import broker, confirm, create, created, run, status, store, users

TARGET = at_most(10)  # milliseconds
CROWD = 200
LINES = 1_000
WRITTEN_WITHIN = 60.0  # seconds
UNTIL_CALM = 0.25  # seconds in which a broker without requests finishes its work

Work = Callable[[Client, Server], Awaitable[None]]


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F25."""
    with TemporaryDirectory() as folder, store() as behind:
        path = Path(folder) / "longest.json"
        with broker(behind, change=(timed, str(path))) as server:
            for words, work in WORK.items():
                rounds = Spread.of([once(server, path, work) for _ in range(max(3, effort.rounds // 2))])
                yield Figure("F25", f"longest event: {words}", TARGET, rounds, "ms", rounds)
    with store() as behind, unread(behind) as server:
        lost = Spread.of([run(unanswered(server))])
    measure = "creates without a response while the log is not read"
    yield Figure("F25", measure, at_most(0), lost, "", lost, Spread.of([LINES]), "of")


def once(server: Server, path: Path, work: Work) -> float:
    """Return the longest event during ``work``, in milliseconds."""

    async def busy() -> None:
        client = Client(server.port, timeout=60)
        await work(client, server)
        await asyncio.sleep(UNTIL_CALM)
        client.close()

    longest(server, path)
    run(busy())
    milliseconds, name = longest(server, path)
    print(f"  {milliseconds:.1f} ms: {name}", file=sys.stderr)
    return milliseconds


def longest(server: Server, path: Path) -> tuple[float, str]:
    """Read and reset the longest event: its milliseconds and its name."""
    path.unlink(missing_ok=True)
    os.kill(server.pid, signal.SIGRTMIN)
    deadline = time.monotonic() + WRITTEN_WITHIN
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the broker did not write its longest event")
        time.sleep(0.01)
    milliseconds, name = json.loads(path.read_text())
    return milliseconds, name


async def confirmed(client: Client, _server: Server) -> None:
    """Confirm an upload of 10,000 parts until it is ready."""
    upload_id = await created(client, users()[0], "wav")
    while (response := await client.send(confirm(upload_id, users()[0]))).status == 202:
        pass
    if response.status != 200:
        raise RuntimeError(f"The confirm returned {response.status}: {response.body.decode(errors='replace')}")


async def status_of_many_parts(client: Client, _server: Server) -> None:
    """Request the status of an upload of 10,000 parts."""
    upload_id = await created(client, users()[0], "wav")
    response = await client.send(status(upload_id, users()[0]))
    if response.status != 200:
        raise RuntimeError(f"The status request returned {response.status}")


async def crowded(client: Client, server: Server) -> None:
    """Connect and send one create for each user while the broker is stopped, then continue it."""
    await asyncio.sleep(UNTIL_CALM)  # an event during which the broker is stopped would count as long
    os.kill(server.pid, signal.SIGSTOP)
    creates = [asyncio.ensure_future(created(client, bearer)) for bearer in users()[:CROWD]]
    await asyncio.sleep(UNTIL_CALM)
    os.kill(server.pid, signal.SIGCONT)
    await asyncio.gather(*creates)


async def batched(client: Client, _server: Server) -> None:
    """Send the largest requests that need no call to the store."""
    bearer = users()[0]
    upload_id = await created(client, bearer, "wav")
    for request in (
        ours.create(bearer, files=100),
        ours.post("/api/v1/downloads", bearer, {"keys": [ours.KEY] * 1_000}),
        ours.post(f"/api/v1/uploads/{upload_id}/parts", bearer, {"from": 1, "to": 1_000}),
    ):
        response = await client.send(request)
        if response.status >= 300:
            raise RuntimeError(f"{request.path} returned {response.status}")


PARTS = f"{KINDS['wav'].size // KINDS['flac'].size * 8:,}"
WORK: dict[str, Work] = {
    f"confirm of {PARTS} parts": confirmed,
    f"status of {PARTS} parts": status_of_many_parts,
    f"{CROWD} new connections with a create each": crowded,
    "100 files, 1,000 links, 1,000 part URLs in a call": batched,
}


@contextlib.contextmanager
def unread(behind: Server) -> Iterator[Server]:
    """Start a broker whose standard output is a pipe that is never read."""
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
    """Return the number of ``LINES`` creates without a response. After eight failures the others count as failed."""
    client, found = Client(server.port, timeout=TIMEOUT / 5), list[bool]()

    async def one(number: int) -> None:
        if found.count(False) < 8:
            found.append((await client.send(create(users()[number]))).status == 201)

    await closed_loop(8, [lambda number=number: one(number) for number in range(LINES)])  # type: ignore[misc]
    client.close()
    return LINES - found.count(True)
