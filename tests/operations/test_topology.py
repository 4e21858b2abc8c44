"""Two brokers behind Caddy, with Redis, Prometheus and a store, as ``deploy/compose.yaml`` describes them."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from tests.e2e.steps import digest, mp3, ready, served
from tests.patience import A_DAY, PATIENCE, until
from tests.plain_http import NO_TLS

from .topology import COMPOSE, NETWORK, Topology

pytestmark = [
    pytest.mark.operations,
    pytest.mark.allow_hosts(["127.0.0.1", *(f"{NETWORK}.{number}" for number in range(1, 17))]),
]
BROKERS = ("broker-1", "broker-2")


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


def check_main_job(topology: Topology) -> None:
    """Create, upload, confirm and download files through Caddy; both brokers have a share."""
    with client_of(topology) as client:
        for _ in range(4):
            track = ready(client, mp3())
            assert digest(served(client, track["key"])) == digest(mp3())
    until(lambda: all(len(requests_of(topology, name)) >= 4 for name in BROKERS))  # the log is written in batches


def check_counters(topology: Topology) -> None:
    """Check that the brokers count the costs of a user in Redis."""
    with client_of(topology, "user-4") as client:
        ready(client, mp3())
    command = ["redis-cli", "-h", topology.addresses["redis"], "dbsize"]
    assert int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) > 0


def check_prometheus(topology: Topology) -> None:
    """Check that Prometheus reads both brokers, and the rules of the deployment."""

    def data(path: str, **query: str) -> Any:
        url = f"{topology.url('prometheus', 9090)}/api/v1/{path}"
        return httpx2.get(url, params=query, trust_env=False, verify=NO_TLS).json()["data"]

    def up() -> list[str]:
        return sorted(found["metric"]["instance"] for found in data("query", query='up{job="broker"} == 1')["result"])

    files = {path.name for path in (COMPOSE.parent / "prometheus").glob("*_rules.yml")}
    assert {Path(group["file"]).name for group in data("rules")["groups"]} == files
    until(lambda: up() == [f"{topology.addresses[name]}:9100" for name in BROKERS])


def check_killed_broker(topology: Topology) -> None:
    """Kill a broker between the steps of uploads: the other one continues them, and no request fails."""
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


def test_compose_topology_without_docker(tmp_path: Path) -> None:
    """All services start, do their jobs while a broker is killed, and the brokers stop with status 0."""
    with Topology(tmp_path) as topology:  # one test, because its addresses are fixed and its steps have an order
        check_main_job(topology)
        check_counters(topology)
        check_prometheus(topology)
        check_killed_broker(topology)
        statuses = topology.stop()
    assert {statuses[name] for name in BROKERS} == {0}
