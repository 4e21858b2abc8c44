"""The capacity of one worker, and the cores and workers that a number of uploads a day needs.

CPU is that of the broker's process for one create, its confirm and five links, at a rate that leaves more than half of
a core idle. The knee is the last step of an open loop at which 99 of 100 uploads are ready within a second; the short
form leaves it out. The throughput that the slots for calls to the store allow is measured as in ``overload``, with
latencies like those of R2.
"""

import math
from typing import NamedTuple

from bench import ours
from bench.figures import FULL, Effort
from bench.processes import Server

from .client import Client, Outcome, open_loop
from .overload import capacity
from .store import Behaviour
from .uploads import broker, run, store, uploaded, users

LATENCY = 25  # milliseconds
LIKE_R2 = Behaviour(latency=60, latency_of={"CopyObject": 200})
LINKS = 5
CALM, STEP, LAST = 200, 50, 1_000  # uploads a second
GOOD, WITHIN = 0.99, 1.0
A_DAY = (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)
PEAK = 5
"""The assumed rate of the busiest second of a day, divided by the mean rate of the day."""

USED = 0.6
"""The planned utilization of cores and slots; the rest absorbs bursts."""


class Round(NamedTuple):
    """One step: uploads a second, the share that was ready in time, and the CPU cores that the broker used."""

    rate: float
    ready: float
    cores: float

    @property
    def cpu(self) -> float:
        """CPU seconds of one upload."""
        return self.cores / self.rate


def report(effort: Effort) -> str:
    """Measure, and return both tables."""
    with store(Behaviour(latency=LATENCY)) as slow, broker(slow) as server:
        at(server, CALM, 1)
        calm = at(server, CALM, 3 * effort.seconds)
        knee = knee_of(server, effort) if effort == FULL else None
    with store(LIKE_R2) as like_r2, broker(like_r2) as server:
        slots = capacity(effort, server, users())
    return f"{worker_table(calm, knee, slots)}\n\n{scaling_table(calm.cpu, slots)}"


def knee_of(server: Server, effort: Effort) -> Round:
    """Return the last step at which the broker kept up with the load."""
    best = at(server, STEP, effort.seconds)
    for rate in range(2 * STEP, LAST, STEP):
        try:
            now = at(server, rate, 2 * effort.seconds)
        except RuntimeError:  # the client did not keep up
            break
        if now.ready < GOOD:
            break
        best = now
    return best


def at(server: Server, rate: float, seconds: float) -> Round:
    """Measure one step."""
    before = server.cpu()
    outcomes = run(offered(server, rate, seconds))
    ready = sum(each.status == 200 and each.seconds < WITHIN for each in outcomes)
    return Round(rate, ready / len(outcomes), (server.cpu() - before) / seconds)


async def offered(server: Server, rate: float, seconds: float) -> list[Outcome]:
    """Return the outcomes of uploads with their links, in an open loop."""
    client = Client(server.port)

    async def one(number: int) -> Outcome:
        bearer = users()[number % len(users())]
        confirmed = await uploaded(client, bearer)
        for _ in range(LINKS):
            await client.send(ours.link(bearer))
        return confirmed

    outcomes = await open_loop(rate, seconds, one)
    client.close()
    return outcomes


def worker_table(calm: Round, knee: Round | None, slots: float) -> str:
    """Return the table of one worker."""
    lines = [
        "| one worker | |",
        "|---|---|",
        f"| CPU of an upload: one create, one confirm, {LINKS} links | {calm.cpu * 1e3:.2f} ms |",
    ]
    if knee:
        lines.append(
            f"| most uploads a second, store latency {LATENCY} ms | {knee.rate:g}, with {knee.cores:.2f} cores |"
        )
    latency, copies = LIKE_R2.latency, LIKE_R2.latency_of["CopyObject"]
    lines.append(f"| most uploads a second, store latency {latency:g} ms, of copies {copies:g} ms | {slots:.0f} |")
    return "\n".join(lines)


def scaling_table(cpu: float, slots: float) -> str:
    """Return the table of cores and workers by uploads a day."""
    lines = [
        f"| uploads a day | uploads a second at peak ({PEAK} times the mean) | cores | workers |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_line(each, cpu, slots) for each in A_DAY)])


def _line(uploads: int, cpu: float, slots: float) -> str:
    peak = uploads / 86_400 * PEAK
    cores = peak * cpu / USED
    workers = max(math.ceil(cores), math.ceil(peak / slots / USED))
    return f"| {uploads:,} | {peak:,.{0 if peak >= 10 else 1}f} | {cores:.2g} | {workers} |"
