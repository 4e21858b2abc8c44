"""Two brokers behind Caddy with one Redis and a real store: one limit, one upload, and no error while Redis is away."""

import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from broker.service.redis_rate_limiter import PROBE_INTERVAL
from tests.e2e import steps
from tests.e2e.processes import BROKER, Broker, responds, token
from tests.e2e.stores import settings_of, store_with_bucket
from tests.patience import PATIENCE, until
from tests.plain_http import NO_TLS
from tests.ports import free_ports

from .redis_server import RedisServer

pytestmark = [pytest.mark.operations, pytest.mark.timeout(300)]
LIMIT: Final = 200
ADDRESS_LIMIT: Final = 500
USERS: Final = 8
OUTAGES: Final = 3
PHASE: Final = 1.5
"""Seconds of each outage, and of each time before one."""

LINK: Final = "/api/v1/downloads/media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3"
FILE: Final = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
PATIENT: Final = """
import runpy
from broker.service import redis_rate_limiter
redis_rate_limiter.PATIENCE = 5.0
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""
"""A broker that waits longer for Redis: on a busy machine a late response would be counted in memory."""

CADDY: Final = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{first} 127.0.0.1:{second} {{
    lb_policy round_robin
  }}
}}
"""


@dataclass(frozen=True)
class Topology:
    """Brokers behind a proxy with their Redis."""

    url: str
    brokers: tuple[Broker, Broker]
    redis: RedisServer

    def client(self, subject: str = "user-1", **options: Any) -> httpx2.Client:
        """Return a client of the proxy with a token of ``subject``."""
        headers = {"Authorization": f"Bearer {token(subject)}"}
        return httpx2.Client(
            base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS, **options
        )

    def broker_of(self, response: httpx2.Response) -> Broker:
        """Return the broker that served a request, by its log."""
        found: list[Broker] = []
        request_id = response.headers["x-request-id"]

        def is_found() -> bool:
            found.extend(broker for broker in self.brokers if request_id in broker.written())
            return bool(found)

        until(is_found)
        return found[0]


@contextlib.contextmanager
def topology(folder: Path, settings: Mapping[str, str], command: Sequence[str] = BROKER) -> Iterator[Topology]:
    """Start the processes; ``command`` runs the package in another way."""
    folder.mkdir()
    program = shutil.which("caddy")
    assert program, "apt-get install caddy"
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        own = {**settings, "BROKER_REDIS_URL": redis.url, "BROKER_TRUSTED_PROXIES": "127.0.0.1"}
        first, second = (stack.enter_context(Broker(folder, own, command=command)) for _ in range(2))
        port = free_ports(1)
        file = folder / "Caddyfile"
        file.write_text(CADDY.format(port=port, first=first.port, second=second.port), encoding="utf-8")
        log = stack.enter_context((folder / "caddy.log").open("wb"))
        proxy = [program, "run", "--config", str(file), "--adapter", "caddyfile"]
        environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(proxy, stdout=log, stderr=log, env=environment)
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.terminate)
        until(lambda: responds(port))
        yield Topology(f"http://127.0.0.1:{port}", (first, second), redis)


@pytest.fixture(scope="module")
def store_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a store, and return its settings."""
    folder = tmp_path_factory.mktemp("store")
    with store_with_bucket(folder, "AKSHARED", "a secret access key of the tests", "songs") as store:
        yield settings_of(store, "songs")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, store_settings: dict[str, str]) -> Iterator[Topology]:
    """Start the brokers with a limit of users."""
    settings = {**store_settings, "BROKER_RATE_LIMIT": str(LIMIT)}
    with topology(tmp_path_factory.mktemp("shared") / "users", settings) as found:
        yield found


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, store_settings: dict[str, str]) -> Iterator[Topology]:
    """Start the brokers with both limits, and with time to count exactly."""
    settings = {**store_settings, "BROKER_RATE_LIMIT": str(LIMIT), "BROKER_ADDRESS_RATE_LIMIT": str(ADDRESS_LIMIT)}
    command = [sys.executable, "-c", PATIENT]
    with topology(tmp_path_factory.mktemp("patient") / "both", settings, command) as found:
        yield found


def spend(client: httpx2.Client, count: int) -> Counter[int]:
    """Send requests for links, each of which costs 1, from eight threads; return the statuses."""
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda _: client.get(LINK).status_code, range(count)))


def test_limit_holds_across_both(patient: Topology) -> None:
    """A user can spend the limit once at both brokers together, within 5 %."""
    before = [len(broker.lines()) for broker in patient.brokers]
    with patient.client("spender") as client:
        statuses = spend(client, 2 * LIMIT)
        assert set(statuses) == {200, 429}
        assert abs(statuses[200] - LIMIT) <= 0.05 * LIMIT
        refused = client.get(LINK)
        assert refused.headers["ratelimit-policy"] == f'"principal";q={LIMIT};w=60'
        assert 1 <= int(refused.headers["retry-after"]) <= 120
    served = [len(broker.lines()) - lines for broker, lines in zip(patient.brokers, before, strict=True)]
    assert min(served) > LIMIT / 2
    with patient.client("another") as client:
        assert client.get(LINK).status_code == 200


def test_one_broker_creates_the_other_confirms(shared: Topology) -> None:
    """An upload that one broker created is confirmed by the other, through the proxy."""
    content = steps.mp3()
    with shared.client("uploader") as client:
        for _ in range(10):
            made = client.post("/api/v1/uploads", json={**FILE, "size": len(content)})
            assert steps.put(made.json(), content).status_code == 200
            confirmed = client.post(f"/api/v1/uploads/{made.json()['uploadId']}/confirm")
            assert confirmed.status_code == 200, confirmed.text
            if shared.broker_of(made) is not shared.broker_of(confirmed):
                return
    pytest.fail("the proxy sent all requests of each upload to one broker")


@dataclass
class Load:
    """Requests at a steady rate, with their statuses and their durations by the moment of their start."""

    statuses: Counter[int] = field(default_factory=Counter)
    durations: list[tuple[float, float]] = field(default_factory=list)

    def run(self, url: str, subjects: str, ends: threading.Event) -> None:
        """Send creates of changing users until the end."""
        tokens = [token(f"{subjects}-{n}") for n in range(USERS)]
        with httpx2.Client(base_url=url, timeout=PATIENCE, trust_env=False, verify=NO_TLS) as client:
            number = 0
            while not ends.is_set():
                number += 1
                started = time.monotonic()
                headers = {"Authorization": f"Bearer {tokens[number % USERS]}"}
                status = client.post("/api/v1/uploads", json=FILE, headers=headers).status_code
                self.statuses[status] += 1
                self.durations.append((started, time.monotonic() - started))
                time.sleep(0.01)  # the rate of the load

    def p99(self, times: Sequence[tuple[float, float]]) -> float:
        """Return the 99th percentile of the durations of requests that started in one of the times."""
        found = sorted(took for started, took in self.durations if any(since <= started < to for since, to in times))
        return found[int(len(found) * 0.99)]


def test_restart_of_redis_under_load(shared: Topology) -> None:
    """While Redis is killed and started again, no client sees an error, nor a delay of more than 20 ms at p99.

    Outages and times without one alternate, so that both have the same share of the machine's other work.
    """
    before, clock = [_events(broker) for broker in shared.brokers], time.monotonic
    ends, load = threading.Event(), Load()
    usual: list[tuple[float, float]] = []
    outages: list[tuple[float, float]] = []
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(load.run, shared.url, f"load{n}", ends) for n in range(2)]
        try:
            for number in range(1, OUTAGES + 1):
                begun = clock()
                time.sleep(PHASE)  # of the load
                killed = clock()
                shared.redis.kill()
                time.sleep(PHASE)  # of the load
                shared.redis.start()
                time.sleep(PROBE_INTERVAL)  # reading the logs meanwhile would delay the load
                usual.append((begun, killed))
                outages.append((killed, clock()))
                until(lambda count=2 * number: _have_added(shared, before, count))  # type: ignore[misc]  # default
        finally:
            ends.set()
        for run in runs:
            run.result()
    assert set(load.statuses) <= {201, 429}
    assert load.statuses[201] > 100
    assert load.p99(outages) - load.p99(usual) <= 0.02
    for broker, earlier in zip(shared.brokers, before, strict=True):
        events = _events(broker)[len(earlier) :]
        assert events == ["broker.redis_lost", "broker.redis_restored"] * (len(events) // 2)
        assert len(events) <= 3 * OUTAGES


def _have_added(found: Topology, before: Sequence[Sequence[str]], count: int) -> bool:
    """Return whether both brokers have logged so many events about Redis since ``before``."""
    counts = [broker.written().count('"broker.redis_') for broker in found.brokers]
    return all(now >= len(earlier) + count for now, earlier in zip(counts, before, strict=True))


def _events(broker: Broker) -> list[str]:
    """Return the events about Redis in the log of a broker."""
    return [line["event"] for line in broker.lines() if line["event"].startswith("broker.redis_")]


def test_silent_redis_under_load(shared: Topology) -> None:
    """While Redis receives and does not respond, no request fails, and few are delayed at all."""
    before = [_events(broker) for broker in shared.brokers]
    shared.redis.stop()
    try:
        with shared.client("silence") as client:
            assert client.get("/readyz").status_code == 200
            durations: list[float] = []
            while not _have_added(shared, before, 1):
                started = time.monotonic()
                assert client.get(LINK).status_code in (200, 429)
                durations.append(time.monotonic() - started)
                time.sleep(0.01)  # the rate of the load
        assert len(durations) > 40
        assert sorted(durations)[len(durations) // 2] < 0.02
    finally:
        shared.redis.resume()
    until(lambda: _have_added(shared, before, 2))


def test_address_is_limited_across_both(patient: Topology) -> None:
    """Clients without a token share the limit of their address at both brokers, by the proxy's X-Forwarded-For."""
    for address in ("127.0.0.7", "127.0.0.8"):
        transport = httpx2.HTTPTransport(local_address=address, verify=NO_TLS, trust_env=False)
        with httpx2.Client(base_url=patient.url, timeout=PATIENCE, transport=transport) as client:
            claims = [{"X-Forwarded-For": f"203.0.113.{n % 256}"} for n in range(ADDRESS_LIMIT + 50)]
            with ThreadPoolExecutor(8) as pool:
                statuses = Counter(pool.map(lambda claim: client.get(LINK, headers=claim).status_code, claims))
            assert statuses == {401: ADDRESS_LIMIT, 429: 50}
            assert client.get(LINK).headers["ratelimit-policy"] == f'"address";q={ADDRESS_LIMIT};w=60'
            assert client.get("/healthz").status_code == 200
