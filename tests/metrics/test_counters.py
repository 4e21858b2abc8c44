"""The metrics of requests and of the process, as Prometheus reads them."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.metrics.counters import RequestMetrics
from broker.metrics.families import request_families
from broker.metrics.histogram import SECONDS
from broker.metrics.instruments import Instruments, ProcessState
from broker.metrics.scrape_app import scrape_app
from tests.ports import free_ports
from tests.web.application import ENVIRONMENT, KEY

from .scraped import scraped
from .scrapes import Samples, named, requests, samples, samples_of, scrape


def scope(route: str | None, method: str = "GET") -> dict[str, Any]:
    """Return a request's scope as the router leaves it."""
    return {"method": method, **({"route": SimpleNamespace(path=route)} if route else {})}


def read(metrics: RequestMetrics) -> Samples:
    """Return all samples of requests."""
    return samples_of(request_families(metrics))


def buckets(found: Samples, route: str) -> list[float]:
    """Return the histogram of one route, up to the bucket without a bound."""
    bounds = [*map(str, SECONDS), "+Inf"]
    return [found[named("broker_request_seconds_bucket", route=route, le=bound)] for bound in bounds]


def test_requests_are_counted_by_label() -> None:
    """Requests are counted by route, method and status."""
    metrics = RequestMetrics()
    ended = [("/a", "GET", 200), ("/a", "GET", 404), ("/a", "DELETE", 200), ("/a", "GET", 200), (None, "GET", 404)]
    for route, method, status in ended:
        metrics.count(scope(route, method), status, 0.1)
    assert requests(read(metrics)) == {
        ("/a", "GET", "200"): 2,
        ("/a", "DELETE", "200"): 1,
        ("/a", "GET", "404"): 1,
        ("none", "GET", "404"): 1,
    }


def test_histogram_covers_a_route() -> None:
    """A route's histogram adds up the durations of all methods and statuses."""
    metrics = RequestMetrics()
    times = [0.0, 0.001, 0.0011, 0.3, 0.5, 10.0, 10.1, 1000.0]
    for index, seconds in enumerate(times):
        metrics.count(scope("/a", "GET" if index % 2 else "POST"), 200 + index % 3, seconds)
    metrics.count(scope("/b"), 200, 0.02)
    found = read(metrics)
    assert buckets(found, "/a") == [sum(seconds <= bound for seconds in times) for bound in (*SECONDS, float("inf"))]
    assert buckets(found, "/b") == [0] * 4 + [1] * 10
    assert found[named("broker_request_seconds_count", route="/a")] == len(times)
    assert found[named("broker_request_seconds_sum", route="/a")] == pytest.approx(sum(times))


def test_no_samples_before_first_request() -> None:
    """There are no samples before the first request."""
    assert read(RequestMetrics()) == {}


def test_nonstandard_methods_share_a_series() -> None:
    """Methods that are not standard share one series."""
    metrics = RequestMetrics()
    for index in range(1000):
        metrics.count(scope("/a", f"METHOD{index}"), 405, 0.1)
    assert requests(read(metrics)) == {("/a", "other", "405"): 1000}


def test_scrape_app_serves_only_metrics() -> None:
    """The application serves the metrics of the log and the process, and no other resource or method."""
    here = TestClient(scrape_app(Instruments(), lambda: ProcessState(lines_dropped=7)))
    assert "process_resident_memory_bytes" in here.get("/metrics").text
    assert samples(here.get("/metrics").text)[named("broker_log_lines_dropped_total")] == 7
    assert here.head("/metrics").status_code == 200
    assert here.post("/metrics").status_code == 405
    assert [here.get(path).status_code for path in ("/", "/metrics/", "/healthz", "/api/v1/uploads")] == [404] * 4


@pytest.mark.parametrize(("skew", "sample"), [(-2.5, "\nbroker_clock_skew_seconds -2.5\n"), (None, "")])
def test_clock_skew_is_a_metric(skew: float | None, sample: str) -> None:
    """The clock skew is a metric if it is known from a response of the store."""
    text = TestClient(scrape_app(Instruments(), lambda: ProcessState(clock_skew=skew))).get("/metrics").text
    assert sample in text
    assert ("broker_clock_skew_seconds" in text) is bool(sample)


def test_requests_are_counted_by_template() -> None:
    """Every request of the application is counted by its route's template."""
    port = free_ports(1)
    with scraped(port, {"BROKER_CORS_ORIGINS": "https://app.example"}) as app:
        app.get("/healthz")
        app.get(f"/api/v1/downloads/{KEY}?filename=a.mp3")
        app.get(f"/api/v1/downloads/{KEY}")
        app.get(f"/api/v1/objects/{KEY}")  # the unused store raises
        app.get("/nowhere")
        app.get("/metrics")
        app.options("/healthz", headers={"Origin": "https://app.example", "Access-Control-Request-Method": "GET"})
        app.request("PROPFIND", "/api/v1/uploads/x")
        assert requests(samples(scrape(port))) == {
            ("/healthz", "GET", "200"): 1,
            ("/api/v1/downloads/{key:path}", "GET", "200"): 2,
            ("/api/v1/objects/{key:path}", "GET", "500"): 1,
            ("none", "GET", "404"): 2,
            ("none", "OPTIONS", "200"): 1,
            ("/api/v1/uploads/{upload_id}", "other", "405"): 1,
        }


MODULES = {"opentelemetry", "prometheus_client", "broker.metrics.counters", "broker.server.metrics_listener"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, set()),
        ({"BROKER_METRICS_PORT": "9100"}, {"broker.metrics.counters", "broker.server.metrics_listener"}),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {"opentelemetry"}),
    ],
    ids=["off", "metrics", "traces"],
)
def test_modules_are_imported_on_demand(environment: dict[str, str], expected: set[str]) -> None:
    """Without metrics and traces their modules are not imported, and the start never imports Prometheus's library."""
    program = (
        f"import os, sys; os.environ.update({ENVIRONMENT | environment!r});"
        "from broker.cli.application import from_environment; from_environment();"
        f"print(*{MODULES!r} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert {*loaded.split()} == expected
