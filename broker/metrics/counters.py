"""What is counted of requests, and where Prometheus reads it. Loaded only where metrics are asked for.

Rules of this module
- A label has few values and none by a client's choice: a route's template, a standard method, a status of ours.
- To count costs a look-up and some additions on plain numbers. All of it happens on the event loop, so nothing locks.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.types import Scope

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds up to which, and with which, a bucket of the histogram counts."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""RFC 9110, section 9, and RFC 5789. Every other is ``OTHER_METHOD``."""

OTHER_METHOD: Final = "other"
NO_ROUTE: Final = "none"
"""Of all paths that are unknown, and of what is answered before a route is looked for."""


class ProcessFacts(NamedTuple):
    """What is measured of a process beside its requests, at one moment.

    ``clock_skew`` is the seconds that our clock is ahead of the store's, ``None`` while it is unknown.
    """

    lines_dropped: int = 0
    clock_skew: float | None = None


class Series:
    """Requests with one route, method and status: how many ended within which bound, and their seconds together."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class RequestMetrics:
    """The requests of one process."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], Series] = {}

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """A request has ended; ``status`` is 0 when it got no answer."""
        route = scope.get("route")
        key = (NO_ROUTE if route is None else route.path, scope["method"], status)
        series = self._series.get(key) or self._named(*key)
        series.seconds += seconds
        series.buckets[bisect_left(BOUNDS, seconds)] += 1

    def series(self) -> Mapping[tuple[str, str, int], Series]:
        """All that was counted, by route, method and status."""
        return self._series

    def _named(self, route: str, method: str, status: int) -> Series:
        """The series that is not there under what a client called its method: only our names are kept."""
        key = (route, method if method in METHODS else OTHER_METHOD, status)
        return self._series.setdefault(key, Series())
