"""A reader of the metrics, over HTTP and with Prometheus's own parser."""

import time
from collections.abc import Iterable

import httpx2
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import PATIENCE
from tests.plain_http import NO_TLS

Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]


def samples(text: str) -> Samples:
    """Return each value by its name and labels."""
    return samples_of(text_string_to_metric_families(text))


def samples_of(families: Iterable[Metric]) -> Samples:
    """Return each value of the families by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def named(name: str, **labels: str) -> tuple[str, Labels]:
    """Return the key of a value in ``Samples``."""
    return name, frozenset(labels.items())


def requests(found: Samples) -> dict[tuple[str, str, str], float]:
    """Return the numbers of requests by route, method and status."""
    return {
        (labels["route"], labels["method"], labels["status"]): value
        for (name, pairs), value in found.items()
        if name == "broker_requests_total" and (labels := dict(pairs))
    }


def scrape(port: int, within: float = PATIENCE) -> str:
    """Wait until the port is open, and return the metrics."""
    deadline = time.monotonic() + within
    while True:
        try:
            response = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=5, trust_env=False, verify=NO_TLS)
        except httpx2.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # between two attempts
        else:
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            return response.text
