"""The families of samples that a scrape returns, made from the counts. The metrics' table in the documentation has all.

Importing the library takes a tenth of the service's start, so the first scrape imports this module.
"""

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from broker.auth.key_source import FetchedKeys

from .counters import RequestMetrics
from .histogram import Histogram
from .instruments import ProcessState
from .store_counters import StoreCallMetrics
from .upload_counters import UploadMetrics


def request_families(requests: RequestMetrics) -> Iterator[Metric]:
    """Yield the metrics of all requests so far."""
    counts = CounterMetricFamily("broker_requests", "Requests that have ended.", labels=("route", "method", "status"))
    by_route: dict[str, list[Histogram]] = {}
    for (route, method, status), series in requests.series().items():
        counts.add_metric((route, method, str(status)), sum(series.buckets))
        by_route.setdefault(route, []).append(series)
    yield counts
    text = "Seconds from a request's head to the end of its response."
    durations = HistogramMetricFamily("broker_request_seconds", text, labels=("route",))
    for route, all_series in by_route.items():
        _add(durations, (route,), all_series)
    yield durations


def upload_families(uploads: UploadMetrics) -> Iterator[Metric]:
    """Yield the metrics of uploads, and of the rate limits that precede them."""
    created = CounterMetricFamily("broker_uploads_created", "Uploads that were created.", labels=("method",))
    for method, count in uploads.created_by.items():
        created.add_metric((method,), count)
    yield created
    yield _counter("broker_uploads_confirmed", "First confirms of uploads.", uploads.confirmed_count)
    refused = CounterMetricFamily("broker_uploads_refused", "Files that were refused.", labels=("code",))
    for code, count in uploads.refused_by.items():
        refused.add_metric((code,), count)
    yield refused
    yield _counter("broker_uploads_expired", "Confirms and statuses of expired uploads.", uploads.expired_count)
    yield _counter("broker_uploads_deleted", "Final deletions of uploads and objects.", uploads.deleted_count)
    yield _counter("broker_confirmed_bytes", "Bytes of the uploads that were confirmed.", uploads.confirmed_bytes)
    delays = HistogramMetricFamily("broker_confirm_delay_seconds", "Seconds from create to first confirm.", labels=())
    _add(delays, (), [uploads.delays])
    yield delays
    limited = CounterMetricFamily("broker_rate_limited", "Requests that a rate limit refused.", labels=("by",))
    for by, count in uploads.limited_by.items():
        limited.add_metric((by,), count)
    yield limited


def store_families(calls: StoreCallMetrics) -> Iterator[Metric]:
    """Yield the metrics of calls to the store."""
    counts = CounterMetricFamily("broker_store_calls", "Calls to the store.", labels=("operation", "outcome"))
    text = "Seconds of a call to the store, with its retry."
    durations = HistogramMetricFamily("broker_store_call_seconds", text, labels=("operation",))
    for operation, series in calls.by_operation.items():
        for outcome, count in series.by_outcome.items():
            counts.add_metric((operation, outcome), count)
        _add(durations, (operation,), [series.durations])
    yield counts
    yield durations


def process_families(state: ProcessState, lag: float) -> Iterator[Metric]:
    """Yield the metrics of the process; those of the clock only if a response of the store has shown its skew."""
    text = "Log lines that were dropped because standard output was blocked."
    yield _counter("broker_log_lines_dropped", text, state.lines_dropped)
    if state.clock_skew is not None:
        text = "Seconds by which this clock is ahead of the object store's."
        yield GaugeMetricFamily("broker_clock_skew_seconds", text, value=state.clock_skew)
    circuits = GaugeMetricFamily("broker_store_breaker_open", "1 while calls are stopped.", labels=("bucket",))
    for bucket, is_open in state.circuits.items():
        circuits.add_metric((bucket,), int(is_open))
    yield circuits
    if state.keys:
        yield from _key_families(state.keys)
    text = "The longest delay of the event loop since the last scrape, in seconds."
    yield GaugeMetricFamily("broker_event_loop_lag_seconds", text, value=lag)
    build = GaugeMetricFamily("broker_build_info", "1, with the versions as labels.", labels=("version", "python"))
    build.add_metric((version("r2-upload-broker"), platform.python_version()), 1)
    yield build


def _key_families(keys: FetchedKeys) -> Iterator[Metric]:
    yield GaugeMetricFamily("broker_jwks_keys", "Usable keys of the identity service.", value=keys.usable)
    fetches = CounterMetricFamily("broker_jwks_fetches", "Fetches of the identity service's keys.", labels=("outcome",))
    fetches.add_metric(("ok",), keys.succeeded)
    fetches.add_metric(("failed",), keys.failed)
    yield fetches
    if keys.loaded_at is not None:
        text = "When the keys were last fetched, in seconds since the Unix epoch."
        yield GaugeMetricFamily("broker_jwks_last_success_timestamp_seconds", text, value=keys.loaded_at)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _add(family: HistogramMetricFamily, labels: Sequence[str], parts: Sequence[Histogram]) -> None:
    """Add the sum of histograms with the same bounds to a family."""
    counts = map(sum, zip(*(part.buckets for part in parts), strict=True))
    bounds = (*map(str, parts[0].bounds), "+Inf")
    family.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), sum(part.total for part in parts))
