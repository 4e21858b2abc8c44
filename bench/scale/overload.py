"""F22: what is confirmed while more uploads are offered than the store's slots allow.

The store answers 100 ms late. Capacity is the most uploads a second that clients get who wait for each other: their
number is doubled until that brings no more. Then uploads are offered at a rate, by clients who do not wait for each
other and repeat nothing: each is a create and, once that is answered, its confirm. Goodput counts the confirms that are
answered 200 within 10 seconds, in the time in which load is offered and the queues are full: not the first seconds, in
which a call waits less than the three seconds that it may, and not what comes after the last upload was offered.
"""

import functools
import time
from collections.abc import Iterator, Sequence

from bench.figures import Effort, Figure, Target, at_least, compared
from bench.processes import Server

from .client import Answered, Client, at_rate, by_turns
from .store import Orders
from .uploads import broker, run, service, store, uploaded, users

LATE = 100  # milliseconds
OFFERED: Sequence[tuple[float, Target]] = ((1.5, at_least(0.9)), (2, at_least(0.9)), (3, at_least(0.85)))
FIRST_CLIENTS, MOST_CLIENTS = 32, 512
GROWTH = 1.05
WAIT = 3.0  # seconds that a call to the store may take, with its wait for a slot


def figures(effort: Effort) -> Iterator[Figure]:
    """All of F22."""
    with store(Orders(late=LATE)) as late, broker(late) as server:
        callers = {"many users": users(), "one service": service()}
        for name, bearers in list(callers.items())[: None if effort.scale == 1 else 1]:
            most = capacity(effort, server, bearers)
            for times, target in OFFERED:
                found = [goodput(effort, server, bearers, times, most) for _ in range(effort.rounds // 4 or 1)]
                measure = f"goodput / capacity with {times:g} times the capacity offered, {name}"
                pairs = [(each, most) for each in found]
                yield compared("F22", measure, target, "uploads/s", pairs, "capacity", ours_above=True)


def capacity(effort: Effort, server: Server, bearers: Sequence[str]) -> float:
    """Uploads a second."""
    rates, clients = [0.0], FIRST_CLIENTS
    while clients <= MOST_CLIENTS:
        rates.append(run(saturated(server, bearers, clients, 2 * effort.seconds)))
        if rates[-1] < rates[-2] * GROWTH:
            break
        clients *= 2
    return max(rates)


async def saturated(server: Server, bearers: Sequence[str], clients: int, seconds: float) -> float:
    """Uploads that are confirmed in a second, by so many clients."""
    client, until = Client(server.port), time.monotonic() + seconds + 1

    async def keep_on(number: int) -> list[Answered]:
        found = list[Answered]()
        while time.monotonic() < until:
            found.append(await uploaded(client, bearers[(number + len(found) * clients) % len(bearers)]))
        return found

    found = await by_turns(clients, [functools.partial(keep_on, number) for number in range(clients)])
    client.close()
    return confirmed([each for some in found for each in some], until - seconds, until)


def goodput(effort: Effort, server: Server, bearers: Sequence[str], times: float, most: float) -> float:
    """Uploads that are confirmed in a second while so many times as many as the ``most`` are offered."""
    settled = WAIT / (1 - 1 / times) + 1  # whose turn it is after ``t`` seconds came after ``t / times``
    return run(offered(server, bearers, times * most, settled, 3 * effort.seconds))


async def offered(server: Server, bearers: Sequence[str], rate: float, settled: float, seconds: float) -> float:
    """The same at a rate, for so many seconds after it has ``settled``."""
    client, start = Client(server.port), time.monotonic()
    found = await at_rate(rate, settled + seconds, lambda number: uploaded(client, bearers[number % len(bearers)]))
    client.close()
    return confirmed(found, start + settled, start + settled + seconds)


def confirmed(found: Sequence[Answered], since: float, until: float) -> float:
    """Those that were answered 200 between two instants, a second."""
    return sum(each.status == 200 and since <= each.ended < until for each in found) / (until - since)
