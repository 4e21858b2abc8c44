"""The metrics of the process: keys, the lag of its event loop, and its build."""

import asyncio
import platform
import time
from importlib.metadata import version

import pytest

from broker.auth.key_source import FetchedKeys
from broker.metrics import event_loop_lag
from broker.metrics.event_loop_lag import EventLoopLag
from broker.metrics.families import process_families
from broker.metrics.instruments import ProcessState, read_state
from broker.service.assembly import assemble
from broker.settings import parse
from tests.auth.minting import P256, document, jwk
from tests.auth.test_jwks_client import SET, Identity, identity
from tests.patience import becomes
from tests.store.wire import answer, says
from tests.web.application import ENVIRONMENT

from .scrapes import Samples, named, samples_of


def of(state: ProcessState, lag: float = 0) -> Samples:
    """Return all samples of a process."""
    return samples_of(process_families(state, lag))


def keys_of(found: Identity) -> Samples:
    """Return the samples of an identity service's keys."""
    samples = of(ProcessState(keys=found.keys.fetched()))
    return {key: value for key, value in samples.items() if key[0].startswith("broker_jwks")}


async def test_fetched_keys_are_metrics() -> None:
    """Keys, fetches by outcome and the last success are metrics; keys that are too old are not usable."""
    two_keys = answer(200, body=document(jwk(P256, "one"), jwk(P256, "two")))
    async with identity(says(answer(500)), says(SET), says(two_keys), says(answer(500)), max_stale=600) as found:
        assert not await found.keys.refresh()
        failed, ok = (named("broker_jwks_fetches_total", outcome=outcome) for outcome in ("failed", "ok"))
        keys, last = named("broker_jwks_keys"), named("broker_jwks_last_success_timestamp_seconds")
        assert keys_of(found) == {keys: 0, ok: 0, failed: 1}
        before = time.time()
        assert await found.keys.refresh()
        assert await found.keys.refresh()
        samples = keys_of(found)
        assert before <= samples.pop(last) <= time.time()
        assert samples == {keys: 2, ok: 2, failed: 1}
        found.now += 601
        assert keys_of(found)[keys] == 0


def test_configured_key_has_no_metrics() -> None:
    """With a configured key there are no metrics of keys, and without a store none of it."""
    state = read_state(assemble(parse({"JWT_SECRET": ENVIRONMENT["JWT_SECRET"]})), lambda: 3)
    assert state == ProcessState(3)
    names = {name for name, _ in of(state)}
    assert names == {"broker_log_lines_dropped_total", "broker_event_loop_lag_seconds", "broker_build_info"}


def test_failures_of_redis_are_a_metric() -> None:
    """The failed calls to Redis are a metric if Redis is configured."""
    configured = assemble(parse({"JWT_SECRET": ENVIRONMENT["JWT_SECRET"], "BROKER_REDIS_URL": "redis://127.0.0.1:1"}))
    assert configured.shared_counts
    configured.shared_counts.errors = 2
    assert of(read_state(configured, lambda: 0))[named("broker_rate_limit_errors_total")] == 2


def test_build_is_a_metric() -> None:
    """The versions of the broker and of Python are labels of a constant."""
    labels = {"version": version("r2-upload-broker"), "python": platform.python_version()}
    assert of(ProcessState())[named("broker_build_info", **labels)] == 1


async def test_lag_is_the_longest_since_a_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lag is the longest since the last scrape, and a scrape starts anew."""
    monkeypatch.setattr(event_loop_lag, "INTERVAL", 0.01)
    lag = EventLoopLag()
    assert lag.take() == 0
    watch = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)  # until the watch has begun
    time.sleep(0.2)  # noqa: ASYNC251  # the block that is measured
    await asyncio.sleep(0.05)  # until it is measured
    time.sleep(0.05)  # noqa: ASYNC251  # a shorter one
    await asyncio.sleep(0.05)  # until it is measured
    assert 0.15 < lag.take() < 10
    await becomes(lambda: lag.take() < 0.1)
    watch.cancel()


async def test_overdue_measurement_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape that precedes an overdue measurement has its lag."""
    monkeypatch.setattr(event_loop_lag, "INTERVAL", 0.01)
    lag = EventLoopLag()
    watch = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)  # until the watch has begun
    time.sleep(0.1)  # noqa: ASYNC251  # the block that is measured
    assert lag.take() > 0.05
    watch.cancel()


def test_no_fetch_without_state() -> None:
    """A key set that was never fetched has no last success."""
    state = ProcessState(keys=FetchedKeys(0, 0, 0, None))
    assert not [name for name, _ in of(state) if name.startswith("broker_jwks_last")]
