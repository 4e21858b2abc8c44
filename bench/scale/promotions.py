"""F23: confirms of small files while thirty objects of more than 5 GiB are promoted; each range takes 4 seconds.

Four users confirm small uploads in a closed loop: first alone, then while thirty other users confirm large uploads and
repeat each confirm that returns 202. Both are measured on the same broker.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server

from .client import Client, Outcome
from .store import Behaviour
from .uploads import broker, confirm, created, run, store, uploaded, users

LARGE = 30
LATENCY, RANGE_LATENCY = 20, 4_000  # milliseconds
RAMP_UP = 3.0  # seconds until all promotions copy ranges
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """The outcomes of small uploads: alone, and beside the large ones."""

    alone: list[Outcome]
    beside: list[Outcome]


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F23: latency and failures."""
    with (
        store(Behaviour(latency=LATENCY, latency_of={"UploadPartCopy": RANGE_LATENCY})) as slow,
        broker(slow) as server,
    ):
        seen = run(measured(server, 5 * effort.seconds))
    alone, beside = (Spread.of([each.seconds * 1e3 for each in found]) for found in (seen.alone, seen.beside))
    ratio = Spread(*(each / alone.median for each in (beside.low, beside.median, beside.high)))
    measure = f"create and confirm of a small file during {LARGE} large promotions: p50 / alone"
    yield Figure("F23", measure, at_most(1.5), ratio, "ms", beside, alone, "alone")
    refused = Spread.of([sum(each.status != 200 for each in seen.beside)])
    count = Spread.of([len(seen.beside)])
    yield Figure(
        "F23",
        f"failed confirms of small files during {LARGE} large promotions",
        at_most(0),
        refused,
        "",
        refused,
        count,
        "of",
    )


async def measured(server: Server, seconds: float) -> Seen:
    client = Client(server.port, timeout=60)
    alone = await small(client, seconds / 2)
    stop = asyncio.Event()
    large = [asyncio.create_task(promoted(client, bearer, stop)) for bearer in users()[-LARGE:]]
    await asyncio.sleep(RAMP_UP)
    beside = await small(client, seconds)
    stop.set()
    for task in large:
        task.cancel()
    await asyncio.gather(*large, return_exceptions=True)
    client.close()
    return Seen(alone, beside)


async def small(client: Client, seconds: float) -> list[Outcome]:
    """Send small uploads by ``AT_ONCE`` clients for ``seconds``, and return their outcomes."""
    loop = asyncio.get_running_loop()
    until, found = loop.time() + seconds, list[Outcome]()

    async def keep_on(first: int) -> None:
        number = first
        while loop.time() < until:
            found.append(await uploaded(client, users()[number]))
            number += AT_ONCE

    await asyncio.gather(*(keep_on(number) for number in range(AT_ONCE)))
    return found


async def promoted(client: Client, bearer: str, stop: asyncio.Event) -> None:
    """Create large uploads, one after the other, and confirm each until it is ready."""
    while not stop.is_set():
        upload_id = await created(client, bearer, "mp4")
        is_ready = False
        while not is_ready:
            is_ready = (await client.send(confirm(upload_id, bearer))).status == 200
            await asyncio.sleep(1)
