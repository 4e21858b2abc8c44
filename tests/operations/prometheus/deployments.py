"""Brokers with metrics, each a job of Prometheus, behind proxies that have the faults of store and identity service.

The times of a broker on which the alerts depend are divided by ``SPEED`` too: those between fetches of keys, and
between probes of a store that fails.
"""

import re
import sys
from asyncio import StreamWriter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.e2e.processes import Broker
from tests.faults.identity_rows import ONE_KEY
from tests.faults.identity_rows import settings as identity_settings
from tests.faults.standing import Fault, StandingProxy
from tests.faults.store_rows import settings as store_settings
from tests.ports import free_ports
from tests.stores import seaweedfs
from tests.stores.place import Place

from .server import SPEED, Prometheus

HEALTHY: Final = "healthy"
STORE_OUTAGE: Final = "store outage"
IDENTITY: Final = "identity"
CLOCK: Final = "clock"
REFUSALS: Final = "refusals"
UNFINISHED: Final = "unfinished"
"""The jobs."""

_FASTER: Final = f"""
import runpy
from broker.auth import fetch_budget
fetch_budget.COOLDOWN /= {SPEED}
from broker.auth import jwks_client
jwks_client.REFRESH_INTERVAL /= {SPEED}
from broker.store import circuit_breaker
circuit_breaker.PROBE_PAUSE_MAX /= {SPEED}
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""
_DATE: Final = re.compile(rb"(?<=\r\nDate: )[^\r]+")


@dataclass(frozen=True, slots=True)
class OtherDate(Fault):
    """The store's clock is ``seconds`` ahead of its own."""

    seconds: float

    async def forward(self, data: bytes, writer: StreamWriter) -> bool:
        return await Fault.forward(self, _DATE.sub(self._shifted, data), writer)

    def _shifted(self, found: re.Match[bytes]) -> bytes:
        instant = parsedate_to_datetime(found[0].decode()) + timedelta(seconds=self.seconds)
        return format_datetime(instant, usegmt=True).encode()


@dataclass(frozen=True, slots=True)
class Deployments:
    """A store, a proxy to it for each job with a fault, an identity service, a broker for each job, and Prometheus."""

    store: Place
    proxies: Mapping[str, StandingProxy]
    identity: StandingProxy
    brokers: Mapping[str, Broker]
    prometheus: Prometheus


@contextmanager
def running(folder: Path, *jobs: str) -> Iterator[Deployments]:
    """Start everything that these jobs need, with its data in ``folder``."""
    with ExitStack() as stack:
        (folder / "store").mkdir()
        store = stack.enter_context(seaweedfs.running(folder / "store"))
        address = urlsplit(store.endpoint)
        proxies = {job: StandingProxy(address.hostname or "", address.port or 0) for job in jobs}
        identity = stack.enter_context(StandingProxy(fault=ONE_KEY))
        for proxy in proxies.values():
            stack.enter_context(proxy)
        ports, brokers = {}, {}
        for job in jobs:
            workers = 2 if job == HEALTHY else 1
            first = free_ports(workers)
            ports[job] = range(first, first + workers)
            environment = (
                identity_settings(identity) if job == IDENTITY else store_settings(store, proxies[job].endpoint)
            )
            environment["BROKER_METRICS_PORT"] = f"{first}-{first + workers - 1}"
            command = [sys.executable, "-c", _FASTER]
            options = ("--workers", str(workers))
            brokers[job] = Broker(folder, environment, *options, command=command, counted=False)
        (folder / "prometheus").mkdir()
        prometheus = Prometheus(folder / "prometheus", ports)
        with ThreadPoolExecutor() as pool:
            list(pool.map(stack.enter_context, (prometheus, *brokers.values())))
        yield Deployments(store, proxies, identity, brokers, prometheus)
