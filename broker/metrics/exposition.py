"""The metrics in Prometheus's text format, which its library makes from the counts at each scrape.

Importing the library takes a tenth of the service's start, so the first scrape imports this module.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from .counters import BOUNDS, ProcessMetrics, RequestMetrics, Series

_BOUND_LABELS: Final = (*map(str, BOUNDS), "+Inf")


class RequestCollector(Collector):
    """The samples of one process's requests."""

    def __init__(self, requests: RequestMetrics) -> None:
        self._requests = requests

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """Yield the metrics of all requests so far."""
        requests = CounterMetricFamily(
            "broker_requests", "Requests that have ended.", labels=("route", "method", "status")
        )
        series_by_route: dict[str, list[Series]] = {}
        for (route, method, status), series in self._requests.series().items():
            requests.add_metric((route, method, str(status)), sum(series.buckets))
            series_by_route.setdefault(route, []).append(series)
        yield requests
        durations = HistogramMetricFamily(
            "broker_request_seconds", "Seconds from a request's head to the end of its response.", labels=("route",)
        )
        for route, series_of_route in series_by_route.items():
            counts = map(sum, zip(*(series.buckets for series in series_of_route), strict=True))
            buckets = list(zip(_BOUND_LABELS, accumulate(counts), strict=True))
            durations.add_metric((route,), buckets, sum(series.seconds for series in series_of_route))
        yield durations


class ProcessMetricsCollector(Collector):
    """The samples of the process apart from its requests."""

    def __init__(self, process: ProcessMetrics) -> None:
        self._process = process

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the metrics; the clock's only if the skew is known from a response of the store."""
        text = "Log lines that were dropped because standard output was blocked."
        yield CounterMetricFamily("broker_log_lines_dropped", text, value=self._process.lines_dropped)
        if self._process.clock_skew is not None:
            text = "Seconds by which this clock is ahead of the object store's."
            yield GaugeMetricFamily("broker_clock_skew_seconds", text, value=self._process.clock_skew)


def scrape_response(requests: RequestMetrics, process: ProcessMetrics) -> Response:
    """Return the response to a scrape, with the library's own metrics of the process (CPU, memory, descriptors)."""
    registry = CollectorRegistry()
    registry.register(RequestCollector(requests))
    registry.register(ProcessMetricsCollector(process))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
