"""F27: confirms that fail when the store closes some of its kept connections just as the next request comes on them.

So does a server whose own time for an idle connection is over, and a balancer that is renewed: the request is read and
not answered. Every call of the broker to the store may be repeated, so none of this is for its clients to see.
"""

import functools
from collections.abc import Iterator

from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server

from .client import Answered, Client, by_turns
from .store import Orders, tell
from .uploads import broker, run, store, uploaded, users

SHARES = (0.02, 0.05, 0.20)
LATE = 5  # milliseconds
CLIENTS = 16
CONFIRMS = 250  # for each of an effort's seconds and rounds


def figures(effort: Effort) -> Iterator[Figure]:
    """One row for each share."""
    with store() as closing, broker(closing) as server:
        for share in SHARES:
            tell(closing, Orders(late=LATE, closing=share))
            found = run(confirmed(server, round(CONFIRMS * effort.rounds * effort.seconds)))
            failed = Spread.of([sum(each.status != 200 for each in found)])
            measure = f"confirms that failed when the store closes {share:.0%} of its kept connections"
            yield Figure("F27", measure, at_most(0), failed, "", failed, Spread.of([len(found)]), "of")


async def confirmed(server: Server, count: int) -> list[Answered]:
    """Uploads, by some clients in turn."""
    client = Client(server.port)
    work = [functools.partial(uploaded, client, users()[number % len(users())]) for number in range(count)]
    found = await by_turns(CLIENTS, work)
    client.close()
    return found
