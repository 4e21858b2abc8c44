"""F23: confirms of small files while thirty objects of more than 5 GiB are promoted; each range takes 4 seconds.

The small ones are confirmed one after the other, by a user of each; the large ones by thirty other users, who confirm
again when they are told to. Alone and beside are measured on one broker, the former before the large ones begin.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server

from .client import Answered, Client
from .store import Orders
from .uploads import broker, confirm, created, run, store, uploaded, users

LARGE = 30
LATE, RANGE_LATE = 20, 4_000  # milliseconds
BEGUN = 3.0  # seconds after which the promotions have taken what they take of the store
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """Small confirms: alone, and beside the large ones."""

    alone: list[Answered]
    beside: list[Answered]


def figures(effort: Effort) -> Iterator[Figure]:
    """Both halves of F23."""
    with store(Orders(late=LATE, late_for={"UploadPartCopy": RANGE_LATE})) as late, broker(late) as server:
        seen = run(measured(server, 5 * effort.seconds))
    alone, beside = (Spread.of([each.seconds * 1e3 for each in found]) for found in (seen.alone, seen.beside))
    ratio = Spread(*(each / alone.median for each in (beside.low, beside.median, beside.high)))
    measure = f"small confirm while {LARGE} large ones are promoted: p50 / alone"
    yield Figure("F23", measure, at_most(1.5), ratio, "ms", beside, alone, "alone")
    refused = Spread.of([sum(each.status != 200 for each in seen.beside)])
    count = Spread.of([len(seen.beside)])
    yield Figure("F23", "small confirms that failed meanwhile", at_most(0), refused, "", refused, count, "of")


async def measured(server: Server, seconds: float) -> Seen:
    client = Client(server.port, patience=60)
    alone = await small(client, seconds / 2)
    stop = asyncio.Event()
    large = [asyncio.create_task(promoted(client, bearer, stop)) for bearer in users()[-LARGE:]]
    await asyncio.sleep(BEGUN)
    beside = await small(client, seconds)
    stop.set()
    for task in large:
        task.cancel()
    await asyncio.gather(*large, return_exceptions=True)
    client.close()
    return Seen(alone, beside)


async def small(client: Client, seconds: float) -> list[Answered]:
    """Small uploads, by ``AT_ONCE`` clients, for so long."""
    loop = asyncio.get_running_loop()
    until, found = loop.time() + seconds, list[Answered]()

    async def keep_on(first: int) -> None:
        number = first
        while loop.time() < until:
            found.append(await uploaded(client, users()[number]))
            number += AT_ONCE

    await asyncio.gather(*(keep_on(number) for number in range(AT_ONCE)))
    return found


async def promoted(client: Client, bearer: str, stop: asyncio.Event) -> None:
    """One large upload, confirmed until it is ready, and then another."""
    while not stop.is_set():
        ticket = await created(client, bearer, "mp4")
        is_ready = False
        while not is_ready:
            is_ready = (await client.ask(confirm(ticket, bearer))).status == 200
            await asyncio.sleep(1)
