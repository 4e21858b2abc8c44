"""F26: confirms of a broker that has just started, five a second, while each look-up of the store's name takes 0.9 s.

The store's host is ``localhost``. The uploads were created before, which needs no store.
"""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server

from .changed import slow_names
from .client import Answered, Client, at_rate
from .uploads import broker, confirm, created, run, store, users

RATE, SECONDS = 5, 10
LOOK_UP = 0.9  # seconds


def figures(_effort: Effort) -> Iterator[Figure]:
    """F26."""
    with store() as named:
        url = f"http://localhost:{named.port}"
        with broker(named, {"R2_ENDPOINT": url}, change=(slow_names, str(LOOK_UP))) as server:
            found = run(confirmed(server))
    failed = Spread.of([sum(each.status != 200 for each in found)])
    measure = f"confirms of a cold broker that failed while a look-up takes {LOOK_UP} s, {RATE} a second"
    yield Figure("F26", measure, at_most(0), failed, "", failed, Spread.of([len(found)]), "of")


async def confirmed(server: Server) -> list[Answered]:
    client = Client(server.port)
    bearers = users()[: RATE * SECONDS]
    tickets = [await created(client, bearer) for bearer in bearers]
    found = await at_rate(RATE, SECONDS, lambda number: client.ask(confirm(tickets[number], bearers[number])))
    client.close()
    return found
