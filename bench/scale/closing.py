"""F27: failed confirms when the store closes a share of its kept connections at the moment a request arrives.

A server does this when its keep-alive timeout expires or when a load balancer restarts: it reads the request and sends
no response. Every call of the broker to the store may be repeated, so clients should not see a failure.
"""

import functools
from collections.abc import Iterator

from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server

from .client import Client, Outcome, closed_loop
from .store import Behaviour, configure
from .uploads import broker, run, store, uploaded, users

SHARES = (0.02, 0.05, 0.20)
LATENCY = 5  # milliseconds
CLIENTS = 16
CONFIRMS = 250  # for each second and round of the effort


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F27, one row for each share."""
    with store() as closing, broker(closing) as server:
        for share in SHARES:
            configure(closing, Behaviour(latency=LATENCY, closed_share=share))
            found = run(confirmed(server, round(CONFIRMS * effort.rounds * effort.seconds)))
            failed = Spread.of([sum(each.status != 200 for each in found)])
            measure = f"failed confirms when the store closes {share:.0%} of its kept connections"
            yield Figure("F27", measure, at_most(0), failed, "", failed, Spread.of([len(found)]), "of")


async def confirmed(server: Server, count: int) -> list[Outcome]:
    """Create and confirm ``count`` uploads in a closed loop."""
    client = Client(server.port)
    work = [functools.partial(uploaded, client, users()[number % len(users())]) for number in range(count)]
    found = await closed_loop(CLIENTS, work)
    client.close()
    return found
