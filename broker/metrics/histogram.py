"""A histogram: counts of values by bucket, and their sum."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of requests and calls, in seconds; a duration equal to a bound is in its bucket."""


class Histogram:
    """The values of one time series, in the buckets with these upper ``bounds`` and in one above them."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total: float = 0

    def add(self, value: float) -> None:
        """Count one value."""
        self.total += value
        self.buckets[bisect_left(self.bounds, value)] += 1
