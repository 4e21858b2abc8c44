"""The metrics of calls to the store, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from broker.errors import StorageUnavailableError
from broker.metrics.families import process_families, store_families
from broker.metrics.instruments import read_state
from broker.metrics.store_counters import StoreCallMetrics
from broker.service.assembly import Observers, assemble
from broker.settings import parse
from broker.store import circuit_breaker
from broker.store.ended_call import CallOutcome, EndedCall
from broker.store.port import ObjectStore
from broker.store.s3 import S3ObjectStore
from tests.store.calls import PATIENT, REF, TIMEOUTS, VERBS, opens_at_once, payload, store_at
from tests.store.wire import Act, answer, says, silence, wire
from tests.web.application import ENVIRONMENT

from .scrapes import Samples, named, samples_of

FOUND = VERBS["head"].good
MISSING = answer(404)


class Observed(NamedTuple):
    """A store, its calls, and their metrics."""

    store: S3ObjectStore
    calls: list[EndedCall]
    metrics: StoreCallMetrics

    def outcomes(self, operation: str = "HeadObject") -> dict[str, int]:
        """Return the outcomes of an operation that occurred."""
        return {outcome: n for outcome, n in self.metrics.by_operation[operation].by_outcome.items() if n}

    def samples(self) -> Samples:
        """Return all samples."""
        return samples_of(store_families(self.metrics))


@asynccontextmanager
async def observed(*acts: Act, is_late: bool = False) -> AsyncIterator[Observed]:
    """Yield a store that responds with these acts."""
    calls: list[EndedCall] = []
    metrics = StoreCallMetrics()

    def observe(call: EndedCall) -> None:
        calls.append(call)
        metrics.count(call)

    timeouts = TIMEOUTS if is_late else PATIENT
    async with wire(*acts) as server, store_at(f"http://127.0.0.1:{server.port}", timeouts, observe=observe) as store:
        yield Observed(store, calls, metrics)


async def failed(store: ObjectStore, times: int = 1) -> None:
    """Call the store, which must fail."""
    for _ in range(times):
        with pytest.raises(StorageUnavailableError):
            await store.head(REF)


async def test_calls_count_by_outcome() -> None:
    """Calls count by operation and outcome, each with its bucket, its status and its duration."""
    acts = [FOUND, MISSING, answer(403), answer(429), answer(429), answer(500), answer(500), answer(302)]
    async with observed(*map(says, acts)) as found:
        await found.store.head(REF)
        assert await found.store.head(REF) is None
        await failed(found.store, times=4)
        assert found.outcomes() == {"ok": 1, "refused": 2, "throttled": 1, "failed": 2}
    assert [call.status for call in found.calls] == [200, 404, 403, 429, 500, 302]
    assert {(call.operation, call.bucket, call.is_paced) for call in found.calls} == {("HeadObject", REF.bucket, False)}
    samples = found.samples()
    assert samples[named("broker_store_calls_total", operation="HeadObject", outcome="failed")] == 2
    assert samples[named("broker_store_call_seconds_count", operation="HeadObject")] == 6
    total = samples[named("broker_store_call_seconds_sum", operation="HeadObject")]
    assert total == pytest.approx(sum(call.seconds for call in found.calls))


async def test_missing_response_is_a_failed_call() -> None:
    """A call without a response in time is failed, with the time that it took."""
    async with observed(silence, is_late=True) as found:
        await failed(found.store)
        (call,) = found.calls
    assert (call.status, call.outcome) == (0, "failed")
    assert call.seconds >= TIMEOUTS.total * 0.9


async def test_retried_call_counts_once() -> None:
    """A call that succeeds by its retry is one call with that outcome."""
    async with observed(says(answer(503)), says(FOUND)) as found:
        await found.store.head(REF)
    assert found.outcomes() == {"ok": 1}


async def test_cancelled_call_does_not_count() -> None:
    """A call that its caller cancels does not count."""
    async with observed(silence) as found:
        call = asyncio.create_task(found.store.head(REF))
        await asyncio.sleep(0.1)  # on its way
        call.cancel()
        await asyncio.wait([call])
    assert found.calls == []


async def test_paced_call_has_no_duration() -> None:
    """A call whose bytes arrive from a client counts without its duration."""
    stored = says(answer(200, {"ETag": '"abc"'}))
    async with observed(stored, stored) as found:
        await found.store.send_object(REF, payload(b"some", is_repeatable=False), headers={})
        await found.store.send_object(REF, payload(b"some"), headers={})
    assert found.outcomes("PutObject") == {"ok": 2}
    assert sum(found.metrics.by_operation["PutObject"].durations.buckets) == 1


async def test_operation_has_all_outcomes_at_once() -> None:
    """With the first call of an operation all its outcomes exist, so that the first failure is an increase."""
    async with observed(says(FOUND)) as found:
        assert found.samples() == {}
        await found.store.head(REF)
        counts = {key: value for key, value in found.samples().items() if key[0] == "broker_store_calls_total"}
    assert sorted(counts.values()) == [0, 0, 0, 1]


async def test_open_circuit_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """The circuit breaker is a metric by bucket, and the calls that it stops do not count."""
    opens_at_once(monkeypatch, pause=60)
    async with wire(says(answer(500))) as server:
        environment = {**ENVIRONMENT, "R2_ENDPOINT": f"http://127.0.0.1:{server.port}"}
        staging = {
            "R2_STAGING_BUCKET_NAME": "staging",
            "R2_STAGING_ACCESS_KEY_ID": "other",
            "R2_STAGING_SECRET_ACCESS_KEY": "the other secret access key",
        }
        metrics = StoreCallMetrics()
        deployment = assemble(parse({**environment, **staging}), observers=Observers(store=metrics.count))

        def is_open() -> list[float]:
            found = samples_of(process_families(read_state(deployment, lambda: 0), 0))
            return [found[named("broker_store_breaker_open", bucket=bucket)] for bucket in ("songs", "staging")]

        assert deployment.store
        assert is_open() == [0, 0]
        await failed(deployment.store, circuit_breaker.FAILURES + 3)
        assert is_open() == [1, 0]
        assert metrics.by_operation["HeadObject"].by_outcome[CallOutcome.FAILED] == circuit_breaker.FAILURES
        for store in deployment.stores:
            await store.close()
