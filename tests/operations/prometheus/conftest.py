"""A real Prometheus that has seen each fault."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.standing import FixedResponse, Refused

from .deployments import (
    CLOCK,
    HEALTHY,
    IDENTITY,
    REFUSALS,
    STORE_OUTAGE,
    UNFINISHED,
    Deployments,
    OtherDate,
    running,
)
from .load import clients
from .server import Fired, Prometheus, wait_for

EXPECTED = {
    Fired(STORE_OUTAGE, "BrokerStoreCircuitOpen", "critical"),
    Fired(STORE_OUTAGE, "BrokerStoreCallsFailing", "warning"),
    Fired(STORE_OUTAGE, "BrokerRequestsFailing", "critical"),
    Fired(IDENTITY, "BrokerIdentityOutage", "warning"),
    Fired(CLOCK, "BrokerClockSkew", "warning"),
    Fired(CLOCK, "BrokerClockSkew", "critical"),
    Fired(REFUSALS, "BrokerRefusalsRising", "warning"),
    Fired(UNFINISHED, "BrokerSuccessRateLow", "critical"),
}
"""The alerts of each job by its fault; the job without a fault has none."""

KILLED = Fired(HEALTHY, "BrokerTargetDown", "warning")
"""The alert of the job without a fault when its processes are killed at the end."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What Prometheus has seen: the alerts that fired with the faults, their texts, and those after the kill.

    ``ended_at`` is the end of the faults, in seconds since the Unix epoch.
    """

    prometheus: Prometheus
    fired: set[Fired]
    firing: list[dict[str, Any]]
    fired_after_kill: set[Fired]
    ended_at: float


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Start all deployments, inject a fault into each but one, and wait for the expected alerts."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    jobs = (HEALTHY, STORE_OUTAGE, IDENTITY, CLOCK, REFUSALS, UNFINISHED)
    with running(folder, *jobs) as deployments:
        prometheus = deployments.prometheus
        firing = asyncio.run(inject(deployments))
        fired, ended_at = prometheus.fired(), time.time()
        deployments.brokers[HEALTHY].kill()
        wait_for(lambda: KILLED in prometheus.fired(), prometheus.fired)
        yield Seen(prometheus, fired, firing, prometheus.fired(), ended_at)


async def inject(deployments: Deployments) -> list[dict[str, Any]]:
    """Run the clients and inject the faults; return each alert that fired, some of which may have ended."""
    prometheus = deployments.prometheus
    firing: dict[str, dict[str, Any]] = {}

    def has_time_before_fault() -> bool:
        return prometheus.value(f'job:broker_uploads:refused_ratio_avg1d{{job="{REFUSALS}"}}') is not None

    def missing() -> set[Fired]:
        firing.update((str(sorted(alert["labels"].items())), alert) for alert in prometheus.firing())
        return EXPECTED - prometheus.fired()

    async with clients(deployments) as uploaders:
        uploaders[HEALTHY].refused_in, uploaders[HEALTHY].given_up_in = 20, 12
        uploaders[UNFINISHED].given_up_in = 1
        deployments.identity.apply(FixedResponse(500))
        deployments.proxies[CLOCK].apply(OtherDate(120))
        await asyncio.to_thread(wait_for, has_time_before_fault, prometheus.fired)
        uploaders[REFUSALS].refused_in = 4
        deployments.proxies[STORE_OUTAGE].apply(Refused())
        await asyncio.to_thread(wait_for, lambda: not missing(), missing)
        return list(firing.values())
