"""F22: goodput when more uploads are offered than the slots for calls to the store allow.

The store responds after 100 ms. If its slots then allow more than 200 uploads a second, the latency is raised until
they do not, so that one machine can offer three times as many.

Capacity is the highest throughput of a closed loop; the number of clients is doubled until throughput stops growing.
The overload itself is an open loop: each arrival creates an upload and then confirms it, and no client retries. Goodput
counts the confirms that return 200 within 10 seconds. It is measured after the queues have filled, and until the
last arrival. The short form measures one load with one kind of caller.
"""

import asyncio
import functools
import math
import time
from collections.abc import Iterator, Sequence

from bench.figures import FULL, Effort, Figure, Target, at_least, compared
from bench.processes import Server

from .client import Client, Outcome, closed_loop, open_loop
from .store import Behaviour, configure
from .uploads import broker, run, service, store, uploaded, users

LATENCY = 100  # milliseconds
MOST, WANTED = 200, 160  # uploads a second
OFFERED: Sequence[tuple[float, Target]] = ((1.5, at_least(0.9)), (2, at_least(0.9)), (3, at_least(0.85)))
FIRST_CLIENTS, MOST_CLIENTS = 64, 512
GROWTH = 1.05
REFUSED_PAUSE = 0.1  # seconds; without it refused clients would use up the CPU
WAIT = 3.0  # seconds: the deadline of a call to the store, with its wait for a slot


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F22."""
    callers = {"many users": users(), "one service": service()}
    with store() as slow, broker(slow) as server:
        for name, bearers in list(callers.items())[: 2 if effort == FULL else 1]:
            most = bounded_capacity(effort, server, slow, bearers)
            for times, target in OFFERED if effort == FULL else OFFERED[-1:]:
                found = [goodput(effort, server, bearers, times, most) for _ in range(effort.rounds // 4 or 1)]
                measure = f"goodput / capacity at {times:g} times the capacity, {name}"
                pairs = [(each, most) for each in found]
                yield compared("F22", measure, target, "uploads/s", pairs, "capacity", ours_above=True)


def bounded_capacity(effort: Effort, server: Server, slow: Server, bearers: Sequence[str]) -> float:
    """Raise the latency until the capacity is at most ``MOST``, and return the capacity."""
    most, milliseconds = math.inf, float(LATENCY)
    while most > MOST:
        configure(slow, Behaviour(latency=milliseconds))
        most = capacity(effort, server, bearers)
        milliseconds *= most / WANTED
    return most


def capacity(effort: Effort, server: Server, bearers: Sequence[str]) -> float:
    """Return the capacity in uploads a second."""
    rates, clients = [0.0], FIRST_CLIENTS
    while clients <= MOST_CLIENTS:
        rates.append(run(saturated(server, bearers, clients, 2 * effort.seconds)))
        if rates[-1] < rates[-2] * GROWTH:
            break
        clients *= 2
    return max(rates)


async def saturated(server: Server, bearers: Sequence[str], clients: int, seconds: float) -> float:
    """Return the confirmed uploads a second of a closed loop with ``clients``."""
    client, until = Client(server.port), time.monotonic() + seconds + 1

    async def keep_on(number: int) -> list[Outcome]:
        found = list[Outcome]()
        while time.monotonic() < until:
            found.append(await uploaded(client, bearers[(number + len(found) * clients) % len(bearers)]))
            await asyncio.sleep(0 if found[-1].status == 200 else REFUSED_PAUSE)
        return found

    found = await closed_loop(clients, [functools.partial(keep_on, number) for number in range(clients)])
    client.close()
    return confirmed([each for some in found for each in some], until - seconds, until)


def goodput(effort: Effort, server: Server, bearers: Sequence[str], times: float, most: float) -> float:
    """Return the confirmed uploads a second at ``times`` the capacity ``most``."""
    settled = WAIT / (1 - 1 / times) + 1  # a first-in, first-out queue serves at ``t`` the arrival of ``t / times``
    return run(offered(server, bearers, times * most, settled, 2 * effort.seconds))


async def offered(server: Server, bearers: Sequence[str], rate: float, settled: float, seconds: float) -> float:
    """Return the confirmed uploads a second of an open loop, in the ``seconds`` after the first ``settled``."""
    client, start = Client(server.port), time.monotonic()
    found = await open_loop(rate, settled + seconds, lambda number: uploaded(client, bearers[number % len(bearers)]))
    client.close()
    return confirmed(found, start + settled, start + settled + seconds)


def confirmed(found: Sequence[Outcome], since: float, until: float) -> float:
    """Return the rate of confirms with status 200 between two instants."""
    return sum(each.status == 200 and since <= each.ended < until for each in found) / (until - since)
