"""Metrics in Prometheus's text format. The library makes its samples of what was counted when it is asked.

Loading it takes a tenth of the service's start, so the first scrape does.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from .metrics import BOUNDS, RequestMetrics, Series

_BOUND_LABELS: Final = (*map(str, BOUNDS), "+Inf")


class RequestCollector(Collector):
    """The samples of what one process has counted."""

    def __init__(self, requests: RequestMetrics) -> None:
        self._requests = requests

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Those of this moment."""
        requests = CounterMetricFamily(
            "broker_requests", "Requests that have ended.", labels=("route", "method", "status")
        )
        of_route: dict[str, list[Series]] = {}
        for (route, method, status), series in self._requests.series().items():
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


class LogCollector(Collector):
    """The sample of the log."""

    def __init__(self, lines_dropped: int) -> None:
        self._lines_dropped = lines_dropped

    def collect(self) -> Iterator[CounterMetricFamily]:
        """It alone."""
        yield CounterMetricFamily(
            "broker_log_lines_dropped",
            "Lines of the log that were dropped because standard output did not take them.",
            value=self._lines_dropped,
        )


def exposition(requests: RequestMetrics, lines_dropped: int) -> Response:
    """The answer to a scrape: these requests, what was lost of the log, and what the process uses."""
    registry = CollectorRegistry()
    registry.register(RequestCollector(requests))
    registry.register(LogCollector(lines_dropped))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
