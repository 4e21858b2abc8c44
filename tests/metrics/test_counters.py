"""What is counted of requests, in the form that Prometheus reads."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.testclient import TestClient

from broker.metrics.counters import BOUNDS, ProcessMetrics, RequestMetrics
from broker.metrics.exposition import RequestCollector
from broker.metrics.scrape_app import scrape_app
from tests.ports import free_ports
from tests.web.application import ENVIRONMENT, KEY

from .scraped import scraped
from .scrapes import Samples, named, requests, samples, scrape


def scope(route: str | None, method: str = "GET") -> dict[str, Any]:
    """What the table leaves in a request's scope."""
    return {"method": method, **({"route": SimpleNamespace(path=route)} if route else {})}


def read(metrics: RequestMetrics) -> Samples:
    """All that it says."""
    registry = CollectorRegistry()
    registry.register(RequestCollector(metrics))
    return samples(generate_latest(registry).decode())


def buckets(found: Samples, route: str) -> list[float]:
    """The histogram of one route, up to the bucket without a bound."""
    bounds = [*map(str, BOUNDS), "+Inf"]
    return [found[named("broker_request_seconds_bucket", route=route, le=bound)] for bound in bounds]


def test_requests_are_counted_by_route_method_and_status() -> None:
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


def test_the_histogram_adds_up_over_all_methods_and_statuses_of_a_route() -> None:
    metrics = RequestMetrics()
    times = [0.0, 0.001, 0.0011, 0.3, 0.5, 10.0, 10.1, 1000.0]
    for index, seconds in enumerate(times):
        metrics.count(scope("/a", "GET" if index % 2 else "POST"), 200 + index % 3, seconds)
    metrics.count(scope("/b"), 200, 0.02)
    found = read(metrics)
    assert buckets(found, "/a") == [sum(seconds <= bound for seconds in times) for bound in (*BOUNDS, float("inf"))]
    assert buckets(found, "/b") == [0] * 4 + [1] * 10
    assert found[named("broker_request_seconds_count", route="/a")] == len(times)
    assert found[named("broker_request_seconds_sum", route="/a")] == pytest.approx(sum(times))


def test_before_the_first_request_there_is_nothing_to_tell() -> None:
    assert read(RequestMetrics()) == {}


def test_methods_of_no_standard_are_one_and_open_no_series_of_their_own() -> None:
    metrics = RequestMetrics()
    for index in range(1000):
        metrics.count(scope("/a", f"METHOD{index}"), 405, 0.1)
    assert requests(read(metrics)) == {("/a", "other", "405"): 1000}


def test_the_port_has_metrics_of_requests_of_the_log_and_of_the_process_and_nothing_else() -> None:
    here = TestClient(scrape_app(RequestMetrics(), lambda: ProcessMetrics(lines_dropped=7)))
    assert "process_resident_memory_bytes" in here.get("/metrics").text
    assert samples(here.get("/metrics").text)[named("broker_log_lines_dropped_total")] == 7
    assert here.head("/metrics").status_code == 200
    assert here.post("/metrics").status_code == 405
    assert [here.get(path).status_code for path in ("/", "/metrics/", "/healthz", "/api/v1/uploads")] == [404] * 4


@pytest.mark.parametrize(("skew", "sample"), [(-2.5, "\nbroker_clock_skew_seconds -2.5\n"), (None, "")])
def test_the_clocks_difference_is_a_metric_once_it_is_known(skew: float | None, sample: str) -> None:
    """A store that has not answered yet tells nothing."""
    text = TestClient(scrape_app(RequestMetrics(), lambda: ProcessMetrics(clock_skew=skew))).get("/metrics").text
    assert sample in text
    assert ("broker_clock_skew_seconds" in text) is bool(sample)


def test_every_request_of_the_application_is_counted_by_its_template() -> None:
    port = free_ports(1)
    with scraped(port, {"BROKER_CORS_ORIGINS": "https://app.example"}) as app:
        app.get("/healthz")
        app.get(f"/api/v1/downloads/{KEY}?filename=a.mp3")
        app.get(f"/api/v1/downloads/{KEY}")
        app.get(f"/api/v1/objects/{KEY}")  # the unasked store raises
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


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, set()), ({"BROKER_METRICS_PORT": "9100"}, {"broker.metrics.counters", "broker.server.metrics_listener"})],
)
def test_who_asks_for_no_metrics_loads_nothing_for_them_and_the_start_never_loads_their_library(
    environment: dict[str, str], expected: set[str]
) -> None:
    program = (
        f"import os, sys; os.environ.update({ENVIRONMENT | environment!r});"
        "from broker.cli.application import from_environment; from_environment();"
        "print(*{'prometheus_client', 'broker.metrics.counters', 'broker.server.metrics_listener'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert {*loaded.split()} == expected
