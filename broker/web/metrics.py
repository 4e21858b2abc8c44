"""What is counted of requests, and how Prometheus reads it. Loaded only where metrics are asked for.

Rules of this module
- A label has few values and none by a client's choice: a route's template, a standard method, a status of ours.
- To count costs a look-up and some additions on plain numbers. All of it happens on the event loop, so nothing locks;
  the library makes its samples of them when it is asked.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from .routes import Resource, Table
from .telemetry import Telemetry

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds up to which, and with which, a bucket of the histogram counts."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""RFC 9110, section 9, and RFC 5789. Every other is ``OTHER_METHOD``."""

OTHER_METHOD: Final = "other"
NO_ROUTE: Final = "none"
"""Of all paths that are unknown, and of what is answered before a route is looked for."""

_BOUND_LABELS: Final = (*map(str, BOUNDS), "+Inf")


class _Series:
    """Requests with one route, method and status: how many ended within which bound, and their seconds together."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_BOUND_LABELS)
        self.seconds = 0.0


class RequestMetrics(Collector):
    """The requests of one process."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], _Series] = {}

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """A request has ended; ``status`` is 0 when it got no answer."""
        route = scope.get("route")
        key = (NO_ROUTE if route is None else route.path, scope["method"], status)
        series = self._series.get(key) or self._named(*key)
        series.seconds += seconds
        series.buckets[bisect_left(BOUNDS, seconds)] += 1

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """The samples of this moment."""
        requests = CounterMetricFamily(
            "broker_requests", "Requests that have ended.", labels=("route", "method", "status")
        )
        of_route: dict[str, list[_Series]] = {}
        for (route, method, status), series in self._series.items():
            requests.add_metric((route, method, str(status)), sum(series.buckets))
            of_route.setdefault(route, []).append(series)
        yield requests
        durations = HistogramMetricFamily(
            "broker_request_seconds", "From a request's head to the end of its answer.", labels=("route",)
        )
        for route, all_series in of_route.items():
            counts = map(sum, zip(*(series.buckets for series in all_series), strict=True))
            buckets = list(zip(_BOUND_LABELS, accumulate(counts), strict=True))
            durations.add_metric((route,), buckets, sum(series.seconds for series in all_series))
        yield durations

    def _named(self, route: str, method: str, status: int) -> _Series:
        """The series that is not there under what a client called its method: only our names are kept."""
        key = (route, method if method in METHODS else OTHER_METHOD, status)
        return self._series.setdefault(key, _Series())


def metrics_app(requests: RequestMetrics) -> ASGIApp:
    """The application behind the port of the metrics: ``/metrics`` and nothing else. Scrapes leave no line."""
    registry = CollectorRegistry()
    registry.register(requests)
    ProcessCollector(registry=registry)

    async def scrape(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return Telemetry(Table([Route("/metrics", Resource({"GET": scrape}))]), lambda _line: None)
