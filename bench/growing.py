"""Whether a create costs more after very many (F12), and how cost grows with what is asked for, as series for a chart.

F12 sets a broker that served a million creates by a thousand users beside one that has just started: CPU time of a
create, in turns, so that a machine that is slower for a while is so for both. What the first one's memory grew by is
counted from after its first creates, which fill what is bounded. The short form makes fewer creates, and says so.

The series are CPU time of the server's process: of a create as the users and the connections grow, of each file
and link as more are asked for in one call.
"""

from collections.abc import Iterator, Sequence

from . import ours
from .answering import cpu
from .figures import Effort, Figure, Series, Spread, at_most, compared
from .processes import Server
from .wrk import Request, load

CREATES = 1_000_000
CHUNK = 10.0  # seconds of load between two looks
USERS = 1_000
MB = 1_000_000


def figures(effort: Effort) -> Iterator[Figure | Series]:
    """F12 and the series."""
    creates = [ours.create(ours.token(f"user-{number}")) for number in range(USERS)]
    with ours.broker() as aged, ours.broker() as fresh:
        yield from after_many(effort, aged, fresh, creates)
        yield from series(effort, fresh)


def after_many(effort: Effort, aged: Server, fresh: Server, creates: Sequence[Request]) -> Iterator[Figure | Series]:
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
    return ours.post("/api/v1/downloads", bearer, {"keys": [ours.KEY] * count})
