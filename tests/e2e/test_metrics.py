"""``broker serve`` as Prometheus sees it: one target for each worker, at ports that do not change, and all metrics."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.auth.minting import P256, document, es256, jwk, mint
from tests.http_server import GetHandler, serving, url_of
from tests.metrics.scrapes import Samples, named, requests, samples, scrape
from tests.patience import A_DAY, PATIENCE, becomes
from tests.ports import free_ports
from tests.web.application import KEY

from .processes import Broker
from .steps import confirm, mp3, uploaded
from .test_process import NOWHERE, all_workers, restarted, workers

LINK = ("/api/v1/downloads/{key:path}", "GET", "200")
STARTED = named("process_start_time_seconds")


def target(port: int) -> Samples:
    """Scrape the worker at ``port``."""
    return samples(scrape(port, within=PATIENCE))


def test_one_process_counts_requests(tmp_path: Path) -> None:
    """A single process counts requests, logs its metrics port and does not log scrapes."""
    port = free_ports(1)
    with Broker(tmp_path, {**NOWHERE, "BROKER_METRICS_PORT": str(port)}) as broker, broker.client() as client:
        for _ in range(5):
            assert client.get(f"/downloads/{KEY}").status_code == 200
        assert requests(target(port))[LINK] == 5
    lines = [line for line in broker.lines() if line.get("route") in ("/metrics", None)]
    assert [line["port"] for line in lines if line["event"] == "broker.metrics_listener_opened"] == [port]
    assert not [line for line in lines if line["event"] == "broker.request_completed"]


async def test_each_worker_is_a_target(tmp_path: Path) -> None:
    """Each worker is a scrape target, and its replacement takes over its port."""
    first = free_ports(2)
    ports = (first, first + 1)
    environment = {**NOWHERE, "BROKER_METRICS_PORT": f"{first}-{first + 1}"}

    async def targets() -> list[Samples]:
        return [await asyncio.to_thread(target, port) for port in ports]

    async def started() -> set[float]:
        return {found[STARTED] for found in await targets()}

    with Broker(tmp_path, environment, "--workers", "2") as broker:
        now = await all_workers(broker)
        before = await started()
        for _ in range(20):  # each on a connection of its own, which any worker may take
            with broker.client() as client:
                assert client.get(f"/downloads/{KEY}").status_code == 200
        assert sum(requests(found).get(LINK, 0) for found in await targets()) == 20
        os.kill(min(now), signal.SIGKILL)
        await becomes(lambda: min(now) not in workers(broker))
        now = await all_workers(broker)
        after = await started()
        assert after - before
        await restarted(broker, now)
        async with asyncio.timeout(PATIENCE):
            while after & await started():
                pass
        assert not [line for line in broker.lines() if line.get("event") == "broker.warning_raised"]


PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
DOCUMENTED = set(re.findall(r"^\| `(broker_[a-z_]+)` \|", PAGE, re.MULTILINE))
"""The names of the metrics in the page's table."""


class IdentityService(GetHandler):
    """Publishes one key."""

    def get(self) -> None:
        """Respond with the key set."""
        self.respond(200, document(jwk(P256, "one")), "application/json")


def test_every_metric_is_documented(tmp_path: Path, environment: dict[str, str]) -> None:
    """A broker that has confirmed one upload has exactly the metrics of the page, with its numbers."""
    port, content = free_ports(1), mp3()
    claims = {"sub": "user-1", "exp": int(time.time()) + A_DAY}
    bearer = mint(claims, sign=es256(P256), header={"alg": "ES256", "kid": "one"})
    with serving(IdentityService) as identity:
        configured = {**environment, "JWT_JWKS_URL": url_of(identity), "BROKER_METRICS_PORT": str(port)}
        with (
            Broker(tmp_path, configured) as broker,
            broker.client() as client,
        ):
            client.headers["Authorization"] = f"Bearer {bearer}"
            upload = uploaded(client, content)
            for _ in range(2):
                assert confirm(client, upload).status_code == 200
            text = scrape(port)
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(text)
    }
    assert {name for name in names if name.startswith("broker_")} == DOCUMENTED
    assert all(name.startswith(("broker_", "process_")) for name in names)
    found = samples(text)
    assert found[named("broker_uploads_created_total", method="put")] == 1
    assert found[named("broker_uploads_confirmed_total")] == 1
    assert found[named("broker_confirmed_bytes_total")] == len(content)
    assert found[named("broker_store_calls_total", operation="CopyObject", outcome="ok")] == 1
    assert found[named("broker_store_breaker_open", bucket="media-bucket")] == 0
    assert found[named("broker_jwks_keys")] == 1
