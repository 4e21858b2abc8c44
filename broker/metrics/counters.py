"""The requests of a process: their number and their durations.

Rules of this package
- It is imported only if metrics are configured.
- A label has few values, and a client cannot choose one: a route's template, a standard method, a status.
- Counting costs a lookup and some additions of plain numbers. It runs on the event loop alone, so there is no lock.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

from .histogram import SECONDS, Histogram

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""The methods of RFC 9110, section 9, and RFC 5789; any other is counted as ``OTHER_METHOD``."""

OTHER_METHOD: Final = "other"
"""The method label of all methods that are not standard."""

NO_ROUTE: Final = "none"
"""The route label of unknown paths, and of responses that precede the routing."""


class RequestMetrics:
    """The counts of one process's requests."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], Histogram] = {}

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that has ended after ``seconds``; ``status`` is 0 if there was no response."""
        route = scope.get("route")
        key = (NO_ROUTE if route is None else route.path, scope["method"], status)
        series = self._series.get(key) or self._add_series(*key)
        series.total += seconds
        series.buckets[bisect_left(SECONDS, seconds)] += 1

    def series(self) -> Mapping[tuple[str, str, int], Histogram]:
        """Return all series by route, method and status."""
        return self._series

    def _add_series(self, route: str, method: str, status: int) -> Histogram:
        """Return the series of the method's label, so that a client cannot add series by made-up methods."""
        key = (route, method if method in METHODS else OTHER_METHOD, status)
        return self._series.setdefault(key, Histogram())
