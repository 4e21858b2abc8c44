"""``broker serve`` as Prometheus sees it: one target for each worker, at ports that do not change."""

import asyncio
import os
import signal
from pathlib import Path

from tests.metrics.scrapes import Samples, named, requests, samples, scrape
from tests.patience import PATIENCE, becomes
from tests.ports import free_ports
from tests.web.application import KEY

from .processes import Broker
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
