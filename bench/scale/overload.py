"""F22: what is confirmed while more uploads are offered than the store's slots allow.

The store answers 100 ms late, or so much later that its slots allow no more than 200 uploads a second: a machine must
be able to offer three times as many. Capacity is the most uploads a second that clients get who wait for each other:
their number is doubled until that brings no more. Then uploads are offered at a rate, by clients who do not wait for
each other and repeat nothing: each is a create and, once that is answered, its confirm. Goodput counts the confirms
that are answered 200 within 10 seconds, in the time in which load is offered and the queues are full: not the first
seconds, in which a call waits less than the three seconds that it may, and not what comes after the last upload was
offered. The short form has one load and one kind of caller.
"""

import functools
import math
import time
from collections.abc import Iterator, Sequence

from bench.figures import FULL, Effort, Figure, Target, at_least, compared
from bench.processes import Server

from .client import Answered, Client, at_rate, by_turns
from .store import Orders, tell
from .uploads import broker, run, service, store, uploaded, users

LATE = 100  # milliseconds
MOST, WANTED = 200, 160  # uploads a second
OFFERED: Sequence[tuple[float, Target]] = ((1.5, at_least(0.9)), (2, at_least(0.9)), (3, at_least(0.85)))
FIRST_CLIENTS, MOST_CLIENTS = 64, 512
GROWTH = 1.05
WAIT = 3.0  # seconds that a call to the store may take, with its wait for a slot


def figures(effort: Effort) -> Iterator[Figure]:
    """All of F22."""
    callers = {"many users": users(), "one service": service()}
    with store() as late, broker(late) as server:
        for name, bearers in list(callers.items())[: 2 if effort == FULL else 1]:
            most = bounded(effort, server, late, bearers)
            for times, target in OFFERED if effort == FULL else OFFERED[-1:]:
                found = [goodput(effort, server, bearers, times, most) for _ in range(effort.rounds // 4 or 1)]
                measure = f"goodput / capacity with {times:g} times the capacity offered, {name}"
                pairs = [(each, most) for each in found]
                yield compared("F22", measure, target, "uploads/s", pairs, "capacity", ours_above=True)


def bounded(effort: Effort, server: Server, late: Server, bearers: Sequence[str]) -> float:
    """The capacity, with the store as late as it takes to bring it below ``MOST``."""
    most, milliseconds = math.inf, float(LATE)
    while most > MOST:
        tell(late, Orders(late=milliseconds))
        most = most_uploads(effort, server, bearers)
        milliseconds *= most / WANTED
    return most


def most_uploads(effort: Effort, server: Server, bearers: Sequence[str]) -> float:
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
    return run(offered(server, bearers, times * most, settled, 2 * effort.seconds))


async def offered(server: Server, bearers: Sequence[str], rate: float, settled: float, seconds: float) -> float:
    """The same at a rate, for so many seconds after it has ``settled``."""
    client, start = Client(server.port), time.monotonic()
    found = await at_rate(rate, settled + seconds, lambda number: uploaded(client, bearers[number % len(bearers)]))
    client.close()
    return confirmed(found, start + settled, start + settled + seconds)


def confirmed(found: Sequence[Answered], since: float, until: float) -> float:
    """Those that were answered 200 between two instants, a second."""
    return sum(each.status == 200 and since <= each.ended < until for each in found) / (until - since)
