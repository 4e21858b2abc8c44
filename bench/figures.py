"""What a measurement found: numbers with their spread, beside a target."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """The duration of a measurement: rounds, seconds of each, and ``scale``, a factor for numbers of operations."""

    rounds: int
    seconds: float
    scale: float


QUICK = Effort(rounds=3, seconds=1, scale=0.01)
FULL = Effort(rounds=9, seconds=2, scale=1)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, with their quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Spread":
        """Return the spread of some rounds; the three values of a single round are equal."""
        return cls(*statistics.quantiles([*rounds, *rounds[:1]][: max(len(rounds), 2)], n=4, method="inclusive"))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True, slots=True)
class Target:
    """A limit for a ratio, or for a single value."""

    bound: float
    at_least: bool

    def is_met_by(self, value: float) -> bool:
        """Return whether ``value`` meets the limit."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


def at_least(bound: float) -> Target:
    """Return a target that larger values meet."""
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    """Return a target that smaller values meet."""
    return Target(bound, at_least=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. ``value`` has the target: usually it is the ratio of ours and the peer's.

    A row without a target is for information.
    """

    id: str
    measure: str
    target: Target | None
    value: Spread
    unit: str
    ours: Spread
    peer: Spread | None = None
    peer_name: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the median meets the target; ``None`` without a target."""
        return self.target.is_met_by(self.value.median) if self.target else None


@dataclass(frozen=True, slots=True)
class Series:
    """The growth of a cost: one line of a chart."""

    id: str
    title: str
    x: str
    y: str
    points: Sequence[tuple[float, float]]


def compared(
    row: str,
    measure: str,
    target: Target | None,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    peer_name: str,
    *,
    ours_above: bool,
) -> Figure:
    """Return the figure of pairs (ours, the peer's), the two of which were measured one after the other.

    The ratio is computed for each pair, because other work of the machine slows down both. With ``ours_above`` ours
    is the numerator.
    """
    ratios = [ours / peer if ours_above else peer / ours for ours, peer in pairs]
    ours, peers = zip(*pairs, strict=True)
    return Figure(row, measure, target, Spread.of(ratios), unit, Spread.of(ours), Spread.of(peers), peer_name)
