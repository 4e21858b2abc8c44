"""What clients saw of one fault, as a line of a table, and what of it must not be."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .steady import Result


@dataclass(frozen=True, slots=True)
class Signing:
    """Requests that need no store: their share of successes, and latencies in milliseconds."""

    count: int
    available: float
    p50: float
    p99: float


def signing(seen: Sequence[Result]) -> Signing:
    """Return the measurements of these requests."""
    good = sum(one.status in (200, 201) for one in seen)
    times = [one.seconds * 1000 for one in seen]
    return Signing(len(seen), good / len(seen), percentile(times, 50), percentile(times, 99))


def percentile(values: Iterable[float], per_cent: float) -> float:
    """Return the smallest value that ``per_cent`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(per_cent) // 100) - 1)]


def statuses(seen: Iterable[Result]) -> str:
    """Return the number of each status, the most frequent first."""
    counts = Counter(str(one.status or "none") for one in seen).most_common()
    return ", ".join(f"{status}: {count}" for status, count in counts) or "-"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
