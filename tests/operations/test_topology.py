"""Two brokers behind Caddy, with Redis, Prometheus and a store, as ``deploy/compose.yaml`` describes them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import jwt
import pytest

from tests.e2e.steps import digest, mp3, ready, served
from tests.patience import A_DAY, PATIENCE, until
from tests.plain_http import NO_TLS

from .topology import NETWORK, Topology

pytestmark = [
    pytest.mark.operations,
    pytest.mark.xdist_group("topology"),
    pytest.mark.allow_hosts(["127.0.0.1", *(f"{NETWORK}.{number}" for number in range(1, 17))]),
]
BROKERS = ("broker-1", "broker-2")


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    """Start everything once."""
    with Topology(tmp_path_factory.mktemp("topology")) as started:
        yield started


def client_of(topology: Topology, subject: str = "user-1") -> httpx2.Client:
    """Return a client of the brokers behind Caddy, with a token of ``subject``."""
    secret = (topology.secrets / "jwt-secret").read_text(encoding="ascii").strip()
    token = jwt.encode({"sub": subject, "exp": int(time.time()) + A_DAY}, secret, algorithm="HS256")
    return httpx2.Client(
        base_url=f"{topology.url('caddy', 8080)}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE,
        trust_env=False,
        verify=NO_TLS,
    )


def requests_of(topology: Topology, name: str) -> list[str]:
    """Return the routes of the completed API requests of a broker, from its log."""
    lines = map(json.loads, topology.services[name].written().splitlines())
    routes = [line["route"] for line in lines if line["event"] == "broker.request_completed"]
    return [route for route in routes if route.startswith("/api/")]


def test_main_job_through_the_proxy(topology: Topology) -> None:
    """Files are created, uploaded, confirmed and downloaded through Caddy, and both brokers have a share."""
    with client_of(topology) as client:
        for _ in range(4):
            track = ready(client, mp3())
            assert digest(served(client, track["key"])) == digest(mp3())
    assert all(len(requests_of(topology, name)) >= 4 for name in BROKERS)


def test_prometheus_reads_both_brokers(topology: Topology) -> None:
    """Prometheus has both brokers as targets that are up."""

    def up() -> list[str]:
        url = f"{topology.url('prometheus', 9090)}/api/v1/query"
        response = httpx2.get(url, params={"query": 'up{job="broker"} == 1'}, trust_env=False, verify=NO_TLS)
        return sorted(found["metric"]["instance"] for found in response.json()["data"]["result"])

    until(lambda: up() == [f"{topology.addresses[name]}:9100" for name in BROKERS])


def test_killed_broker_is_not_noticed(topology: Topology) -> None:
    """A broker is killed between the steps of uploads; the other one continues them, and no request fails."""
    lost = topology.services["broker-1"]
    with client_of(topology, "user-2") as client:
        for step in range(6):
            if step == 1:
                lost.process.kill()
                lost.process.wait(PATIENCE)
            ready(client, mp3())
    lost.start()
    before = len(requests_of(topology, "broker-1"))
    with client_of(topology, "user-3") as client:
        until(lambda: ready(client, mp3()) and len(requests_of(topology, "broker-1")) > before)


def test_stop_ends_every_broker_cleanly(tmp_path: Path, topology: Topology) -> None:
    """SIGTERM stops both brokers with status 0."""
    statuses = topology.stop()
    assert {statuses[name] for name in BROKERS} == {0}
