"""Whether the cost of a create grows with the number of creates (F12), and series of costs for a chart.

F12 compares a broker that served a million creates of a thousand users with one that has just started: the CPU time
of a create, in turns, because other work of the machine slows down both. The growth of memory is measured from the
end of the first creates, which fill the bounded caches. A quick run makes fewer creates, and its table says so.

The series are CPU time of the server's process: of a create by the number of users and of connections, and of one
file and one link by the number in one call.
"""

from collections.abc import Iterator, Sequence

from . import ours
from .answering import cpu
from .figures import Effort, Figure, Series, Spread, at_most, compared
from .processes import Server
from .wrk import Request, load

CREATES = 1_000_000
CHUNK = 10.0  # seconds of load between two measurements
USERS = 1_000
MB = 1_000_000


def figures(effort: Effort) -> Iterator[Figure | Series]:
    """Measure F12 and the series."""
    creates = [ours.create(ours.token(f"user-{number}")) for number in range(USERS)]
    with ours.broker() as aged, ours.broker() as fresh:
        yield from after_many(effort, aged, fresh, creates)
        yield from series(effort, fresh)


def after_many(effort: Effort, aged: Server, fresh: Server, creates: Sequence[Request]) -> Iterator[Figure | Series]:
    """Measure F12: the cost of a create after many creates, and the growth of memory."""
    for server in (aged, fresh):
        load(server.url, creates, 3)
    wanted, start = round(CREATES * effort.scale), aged.resident()
    made, costs, memory = 0, [], [(0, start / MB)]
    while made < wanted:
        before = aged.cpu()
        done = load(aged.url, creates, min(CHUNK, effort.seconds * 5)).requests
        made += done
        costs.append((made, (aged.cpu() - before) / done * 1e6))
        memory.append((made, aged.resident() / MB))
    pairs = [(cpu(effort, aged, creates), cpu(effort, fresh, creates)) for _ in range(effort.rounds)]
    measure = f"create after {made:,} / at the start"
    yield compared("F12", measure, at_most(1.05), "µs", pairs, "just started", ours_above=True)
    grown = Spread.of([(aged.resident() - start) / MB])
    yield Figure("F12", f"memory grown by {made:,} creates", at_most(5), grown, "MB", grown)
    yield Series("F12", "memory of a process", "creates", "MB", memory)
    yield Series("F12", "a create", "creates before", "µs", costs)


def series(effort: Effort, server: Server) -> Iterator[Series]:
    """Measure the CPU time of calls by their number of items."""
    bearer = ours.token()

    def points(sizes: Sequence[int], requests: Sequence[Sequence[Request]]) -> list[tuple[float, float]]:
        costs = [cpu(effort, server, each, connections=4) for each in requests]
        return [(size, cost / size) for size, cost in zip(sizes, costs, strict=True)]

    files, keys = (1, 3, 10, 30, 100), (1, 10, 100, 1_000)
    batches = [[ours.create(bearer, files=each)] for each in files]
    yield Series("F10", "a file of a batch", "files in a call", "µs", points(files, batches))
    yield Series("F7", "a link", "keys in a call", "µs", points(keys, [[links(bearer, each)] for each in keys]))
    crowd = [ours.create(ours.token(f"user-{number}")) for number in range(5_000)]
    costs = [(users, cpu(effort, server, crowd[:users])) for users in (1, 100, 1_000, 5_000)]
    yield Series("F5", "a create", "users", "µs", costs)
    costs = [(many, cpu(effort, server, crowd[:1], connections=many)) for many in (1, 8, 64, 256)]
    yield Series("F14", "a create", "connections", "µs", costs)


def links(bearer: str, count: int) -> Request:
    """Return the request for ``count`` download links."""
    return ours.post("/api/v1/downloads", bearer, {"keys": [ours.KEY] * count})
