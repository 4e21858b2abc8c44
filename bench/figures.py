"""What a measurement found: numbers with their spread, beside a target."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done for a figure: so many rounds, each of so many seconds, or of so many operations by ``scale``."""

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
        """Of one round all three are the same."""
        return cls(*statistics.quantiles([*rounds, *rounds[:1]][: max(len(rounds), 2)], n=4, method="inclusive"))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound of a ratio, or of a number that has none beside it."""

    bound: float
    at_least: bool

    def is_met_by(self, value: float) -> bool:
        """Whether ``value`` keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


def at_least(bound: float) -> Target:
    """A target that larger values meet."""
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    """A target that smaller values meet."""
    return Target(bound, at_least=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. ``value`` is what the target bounds: most often the ratio of ours and the peer's."""

    id: str
    measure: str
    target: Target
    value: Spread
    unit: str
    ours: Spread
    peer: Spread | None = None
    peer_name: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the median meets the target."""
        return self.target.is_met_by(self.value.median)


@dataclass(frozen=True, slots=True)
class Series:
    """How a cost grows: a line of a chart."""

    id: str
    title: str
    x: str
    y: str
    points: Sequence[tuple[float, float]]


def compared(
    row: str,
    measure: str,
    target: Target,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    peer_name: str,
    *,
    ours_above: bool,
) -> Figure:
    """The figure of pairs (ours, peer's) that were measured one after the other.

    The ratio is taken of each pair, so that a machine that is slower for a while is so for both; ``ours_above`` says
    that ours is its numerator.
    """
    ratios = [ours / peer if ours_above else peer / ours for ours, peer in pairs]
    ours, peers = zip(*pairs, strict=True)
    return Figure(row, measure, target, Spread.of(ratios), unit, Spread.of(ours), Spread.of(peers), peer_name)
