"""Metrics in Prometheus's text format. The library makes its samples of what was counted when it is asked.

Loading it takes a tenth of the service's start, so the first scrape does.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from .counters import BOUNDS, ProcessFacts, RequestMetrics, Series

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


class FactsCollector(Collector):
    """The samples of the process as a whole."""

    def __init__(self, facts: ProcessFacts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Those of this moment; the clock's only once the store has answered."""
        text = "Lines of the log that were dropped because standard output did not take them."
        yield CounterMetricFamily("broker_log_lines_dropped", text, value=self._facts.lines_dropped)
        if self._facts.clock_skew is not None:
            text = "Seconds that this clock is ahead of the object store's."
            yield GaugeMetricFamily("broker_clock_skew_seconds", text, value=self._facts.clock_skew)


def exposition(requests: RequestMetrics, facts: ProcessFacts) -> Response:
    """The answer to a scrape: these requests, these facts, and what the process uses."""
    registry = CollectorRegistry()
    registry.register(RequestCollector(requests))
    registry.register(FactsCollector(facts))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
