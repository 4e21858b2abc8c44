"""F24: confirms that fail by an outage of the store of half a second, at 150 confirms a second.

The uploads are created before. Half a second of confirms cannot succeed, which are 75; all that fail beside them is the
broker's doing. Three kinds of outage are measured, each on a broker of its own: the store answers 503, it closes each
connection on which it is asked, or nobody listens and all its connections are reset. The short form leaves out the
second.
"""

from collections.abc import Iterator

from bench.figures import FULL, Effort, Figure, Spread, at_most
from bench.processes import Server

from .client import Answered, Client, at_rate
from .store import Orders, tell
from .uploads import broker, confirm, created, run, store, users

RATE = 150
LATE = 20  # milliseconds
BEFORE, OUTAGE, AFTER = 1.0, 0.5, 7.0  # seconds
KINDS = {"503": "answers 503", "close": "closes connections", "refuse": "refuses connections"}


def figures(effort: Effort) -> Iterator[Figure]:
    """One row for each kind of outage."""
    for kind, words in KINDS.items() if effort == FULL else [*KINDS.items()][::2]:
        failed = Spread.of([once(kind) for _ in range(effort.rounds // 4 or 1)])
        share = Spread.of([RATE * OUTAGE])
        measure = f"confirms that failed when the store {words} for {OUTAGE:g} s, at {RATE} a second"
        yield Figure("F24", measure, at_most(120), failed, "", failed, share, "unavoidable")


def once(kind: str) -> int:
    """How many failed."""
    with store(Orders(late=LATE)) as failing, broker(failing) as server:
        found = run(confirmed(server, failing, kind))
    return sum(each.status != 200 for each in found)


async def confirmed(server: Server, failing: Server, kind: str) -> list[Answered]:
    client, seconds = Client(server.port), BEFORE + OUTAGE + AFTER
    bearers = [users()[number % len(users())] for number in range(round(RATE * seconds))]
    tickets = [await created(client, bearer) for bearer in bearers]

    async def one(number: int) -> Answered:
        if number == RATE * BEFORE:
            tell(failing, Orders(late=LATE, outage=kind, outage_seconds=OUTAGE))
        return await client.ask(confirm(tickets[number], bearers[number]))

    found = await at_rate(RATE, seconds, one)
    client.close()
    return found
