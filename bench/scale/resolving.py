"""F26: failed confirms of a broker that has just started, while each DNS lookup of the store takes 0.9 s.

Five confirms a second arrive. The host of the store is ``localhost``. Uploads are created in advance, which needs no
call to the store.
"""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server

from .changed import slow_names
from .client import Client, Outcome, open_loop
from .uploads import broker, confirm, created, run, store, users

RATE, SECONDS = 5, 10
LOOK_UP = 0.9  # seconds


def figures(_effort: Effort) -> Iterator[Figure]:
    """Measure F26."""
    with store() as named:
        url = f"http://localhost:{named.port}"
        with broker(named, {"R2_ENDPOINT": url}, change=(slow_names, str(LOOK_UP))) as server:
            found = run(confirmed(server))
    failed = Spread.of([sum(each.status != 200 for each in found)])
    measure = f"failed confirms of a new broker when a DNS lookup takes {LOOK_UP} s, {RATE} confirms a second"
    yield Figure("F26", measure, at_most(0), failed, "", failed, Spread.of([len(found)]), "of")


async def confirmed(server: Server) -> list[Outcome]:
    client = Client(server.port)
    bearers = users()[: RATE * SECONDS]
    upload_ids = [await created(client, bearer) for bearer in bearers]
    found = await open_loop(RATE, SECONDS, lambda number: client.send(confirm(upload_ids[number], bearers[number])))
    client.close()
    return found
