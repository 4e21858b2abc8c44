"""How many uploads one worker takes, and what so many a day need.

CPU is that of the broker's process, for one create, its confirm and five links, at a rate that leaves it idle for more
than half of the time. The most that it takes is found by offering more, step by step, until fewer than 99 of 100
uploads are ready within a second of their turn; the short form leaves it out. What the slots allow is found as in
``overload``, at latencies like R2's.
"""

import math
from typing import NamedTuple

from bench import ours
from bench.figures import FULL, Effort
from bench.processes import Server

from .client import Answered, Client, at_rate
from .overload import most_uploads
from .store import Orders
from .uploads import broker, run, store, uploaded, users

LATE = 25  # milliseconds
LIKE_R2 = Orders(late=60, late_for={"CopyObject": 200})
LINKS = 5
CALM, STEP, LAST = 200, 50, 1_000  # uploads a second
GOOD, WITHIN = 0.99, 1.0
A_DAY = (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)
PEAK = 5
"""Times the mean of a day in its busiest second: most uploads of a day come in few hours of it."""

USED = 0.6
"""The share of a core, and of the slots, that is planned for: the rest is for what comes unevenly."""


class Round(NamedTuple):
    """What one rate found: the share of uploads that were ready in time, and the cores that the broker used."""

    rate: float
    ready: float
    cores: float

    @property
    def cpu(self) -> float:
        """Seconds of CPU for an upload."""
        return self.cores / self.rate


def report(effort: Effort) -> str:
    """Measures, and prints what it comes to."""
    with store(Orders(late=LATE)) as late, broker(late) as server:
        at(server, CALM, 1)
        calm = at(server, CALM, 3 * effort.seconds)
        knee = most(server, effort) if effort == FULL else None
    with store(LIKE_R2) as like_r2, broker(like_r2) as server:
        slots = most_uploads(effort, server, users())
    return f"{found(calm, knee, slots)}\n\n{needed(calm.cpu, slots)}"


def most(server: Server, effort: Effort) -> Round:
    """The last step at which the broker kept up."""
    best = at(server, STEP, effort.seconds)
    for rate in range(2 * STEP, LAST, STEP):
        try:
            now = at(server, rate, 2 * effort.seconds)
        except RuntimeError:  # it was the client that did not keep up
            break
        if now.ready < GOOD:
            break
        best = now
    return best


def at(server: Server, rate: float, seconds: float) -> Round:
    """One rate, for so long."""
    before = server.cpu()
    outcomes = run(offered(server, rate, seconds))
    ready = sum(each.status == 200 and each.seconds < WITHIN for each in outcomes)
    return Round(rate, ready / len(outcomes), (server.cpu() - before) / seconds)


async def offered(server: Server, rate: float, seconds: float) -> list[Answered]:
    """Uploads, each with its links."""
    client = Client(server.port)

    async def one(number: int) -> Answered:
        bearer = users()[number % len(users())]
        answered = await uploaded(client, bearer)
        for _ in range(LINKS):
            await client.ask(ours.link(bearer))
        return answered

    outcomes = await at_rate(rate, seconds, one)
    client.close()
    return outcomes


def found(calm: Round, knee: Round | None, slots: float) -> str:
    """What was measured of one worker."""
    lines = [
        "| one worker | |",
        "|---|---|",
        f"| CPU of an upload: one create, one confirm, {LINKS} links | {calm.cpu * 1e3:.2f} ms |",
    ]
    if knee:
        lines.append(f"| most uploads a second, answers {LATE} ms late | {knee.rate:g}, with {knee.cores:.2f} cores |")
    late, copy = LIKE_R2.late, LIKE_R2.late_for["CopyObject"]
    lines.append(f"| most uploads a second, answers {late:g} ms and copies {copy:g} ms late | {slots:.0f} |")
    return "\n".join(lines)


def needed(cpu: float, slots: float) -> str:
    """What numbers of uploads a day need, of cores and of workers."""
    lines = [f"| uploads a day | a second, at {PEAK} times the mean | cores | workers |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_line(each, cpu, slots) for each in A_DAY)])


def _line(uploads: int, cpu: float, slots: float) -> str:
    peak = uploads / 86_400 * PEAK
    cores = peak * cpu / USED
    workers = max(math.ceil(cores), math.ceil(peak / slots / USED))
    return f"| {uploads:,} | {peak:,.{0 if peak >= 10 else 1}f} | {cores:.2g} | {workers} |"
