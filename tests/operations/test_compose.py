"""``deploy/compose.yaml`` as Docker Compose reads it, and ``deploy/Dockerfile`` as hadolint does."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.python_environments import install

from .topology import COMPOSE, ROOT, TOOLS

pytestmark = pytest.mark.operations

OWN_PORTS = {"caddy": {8080}, "prometheus": {9090}, "store": {8333}}
"""The published ports: no broker, and no Redis."""


def run(program: str, *words: str | Path) -> str:
    """Run a program of the environment for these tests; return its output."""
    done = subprocess.run([install(TOOLS) / program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services as Docker Compose understands them."""
    rendered = json.loads(run("docker-compose", "--file", COMPOSE, "config", "--format", "json"))
    assert set(rendered["secrets"]) == {"broker-secret", "jwt-secret", "store-keys", "store-secret"}
    return dict(rendered["services"])


def test_every_service_has_few_rights(services: dict[str, Any]) -> None:
    """Every container has a read-only root, a user that is not root, no capabilities, and no way to get some."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] == "65532:65532", name
        assert not service.get("privileged"), name


def test_ports_are_published_on_loopback(services: dict[str, Any]) -> None:
    """Only the proxy, the store and Prometheus have a port on the machine, and only on its loopback address."""
    published = {name: service.get("ports", []) for name, service in services.items()}
    assert {name: {port["target"] for port in ports} for name, ports in published.items() if ports} == OWN_PORTS
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_secrets_are_files(services: dict[str, Any]) -> None:
    """No secret stands in an environment, where ``docker inspect`` shows it."""
    for service in services.values():
        names = [name for name in service.get("environment", {}) if "SECRET" in name]
        assert all(name.endswith("_FILE") for name in names)


def test_every_lasting_service_has_a_health_check(services: dict[str, Any]) -> None:
    """Every service but the one that ends has a health check, and starts behind healthy ones."""
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"bucket"}
    for service in services.values():
        for name, need in service.get("depends_on", {}).items():
            assert need["condition"] == ("service_completed_successfully" if name == "bucket" else "service_healthy")


def test_redis_is_reached_by_brokers_only(services: dict[str, Any]) -> None:
    """The network of Redis has the brokers, and no way out."""
    assert {name for name, service in services.items() if "counters" in service["networks"]} == {
        "broker-1",
        "broker-2",
        "redis",
    }


def test_dockerfile_has_no_complaint() -> None:
    """The linter hadolint finds nothing in the Dockerfile."""
    assert run("hadolint", ROOT / "deploy" / "Dockerfile") == ""
