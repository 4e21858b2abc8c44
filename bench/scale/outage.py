"""F24: failed confirms after an outage of the store of half a second, at 150 confirms a second.

The uploads are created in advance. The 75 confirms during the outage cannot succeed. Each kind of outage is measured
with a new broker: the store returns 503, closes connections without a response, or resets all connections and refuses
new ones. The short form leaves out the second kind.
"""

from collections.abc import Iterator

from bench.figures import FULL, Effort, Figure, Spread, at_most
from bench.processes import Server

from .client import Client, Outcome, open_loop
from .store import Behaviour, configure
from .uploads import broker, confirm, created, run, store, users

RATE = 150
LATENCY = 20  # milliseconds
BEFORE, OUTAGE, AFTER = 1.0, 0.5, 6.0  # seconds
KINDS = {"503": "returns 503", "close": "closes connections", "refuse": "refuses connections"}


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F24, one row for each kind of outage."""
    for kind, words in KINDS.items() if effort == FULL else [*KINDS.items()][::2]:
        failed = Spread.of([once(kind) for _ in range(effort.rounds // 4 or 1)])
        share = Spread.of([RATE * OUTAGE])
        measure = f"failed confirms when the store {words} for {OUTAGE:g} s, at {RATE} confirms a second"
        yield Figure("F24", measure, at_most(120), failed, "", failed, share, "unavoidable")


def once(kind: str) -> int:
    """Return the number of failed confirms of one outage."""
    with store(Behaviour(latency=LATENCY)) as failing, broker(failing) as server:
        found = run(confirmed(server, failing, kind))
    return sum(each.status != 200 for each in found)


async def confirmed(server: Server, failing: Server, kind: str) -> list[Outcome]:
    client, seconds = Client(server.port), BEFORE + OUTAGE + AFTER
    bearers = [users()[number % len(users())] for number in range(round(RATE * seconds))]
    upload_ids = [await created(client, bearer) for bearer in bearers]

    async def one(number: int) -> Outcome:
        if number == RATE * BEFORE:
            configure(failing, Behaviour(latency=LATENCY, outage=kind, outage_seconds=OUTAGE))
        return await client.send(confirm(upload_ids[number], bearers[number]))

    found = await open_loop(RATE, seconds, one)
    client.close()
    return found
