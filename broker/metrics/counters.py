"""The metrics of a process: counts and durations of its requests, and measures of the process itself.

Rules of this module
- This module is imported only if metrics are configured.
- A label has few values, and a client cannot choose one: a route's template, a standard method, a status.
- Counting costs a lookup and some additions of plain numbers. It runs on the event loop alone, so there is no lock.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.types import Scope

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets, in seconds; a duration equal to a bound is in its bucket."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""The methods of RFC 9110, section 9, and RFC 5789; any other is counted as ``OTHER_METHOD``."""

OTHER_METHOD: Final = "other"
"""The method label of all methods that are not standard."""

NO_ROUTE: Final = "none"
"""The route label of unknown paths, and of responses that precede the routing."""


class ProcessMetrics(NamedTuple):
    """Measures of a process apart from its requests, at one moment.

    ``clock_skew`` is how many seconds this clock is ahead of the store's, or ``None`` while it is unknown.
    """

    lines_dropped: int = 0
    clock_skew: float | None = None


class Series:
    """The time series of one route, method and status: requests by bucket, and the sum of their seconds."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class RequestMetrics:
    """The counts of one process's requests."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], Series] = {}

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that has ended after ``seconds``; ``status`` is 0 if there was no response."""
        route = scope.get("route")
        key = (NO_ROUTE if route is None else route.path, scope["method"], status)
        series = self._series.get(key) or self._add_series(*key)
        series.seconds += seconds
        series.buckets[bisect_left(BOUNDS, seconds)] += 1

    def series(self) -> Mapping[tuple[str, str, int], Series]:
        """Return all series by route, method and status."""
        return self._series

    def _add_series(self, route: str, method: str, status: int) -> Series:
        """Return the series of the method's label, so that a client cannot add series by made-up methods."""
        key = (route, method if method in METHODS else OTHER_METHOD, status)
        return self._series.setdefault(key, Series())
