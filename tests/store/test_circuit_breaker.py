"""The circuit breaker and the retry budget, first alone and then over a socket."""

import asyncio
import json
import time

import pytest

from broker.errors import StorageUnavailableError
from broker.store import circuit_breaker, transport
from broker.store.circuit_breaker import FAILURES, PROBE_PAUSE, SPAN, CircuitBreaker, RetryBudget
from broker.store.port import ObjectStore
from tests.patience import becomes

from .calls import LATE, REF, TARGET, TIMEOUTS, VERBS, facing, opens_at_once, payload, unavailable
from .wire import Act, error, keeps, resets, says, silence

HEAD = VERBS["head"]


def opened() -> CircuitBreaker:
    """Return a breaker that has opened at the instant 0."""
    found = CircuitBreaker()
    assert [found.record_failure(-SPAN) for _ in range(FAILURES)] == [False] * FAILURES
    assert found.record_failure(0)
    return found


def test_a_healthy_store_is_called() -> None:
    """Single failures between successes leave the circuit closed."""
    found = CircuitBreaker()
    for _ in range(10 * FAILURES):
        assert not found.record_failure(0)
        assert not found.record_success()
        assert found.wait(0, may_probe=False) == 0


def test_a_short_outage_opens_nothing() -> None:
    """Any number of failures within less than the span leaves the circuit closed."""
    found = CircuitBreaker()
    assert not any(found.record_failure(SPAN * each / 1001) for each in range(1001))
    assert found.wait(SPAN, may_probe=False) == 0


def test_a_few_failures_far_apart_open_nothing() -> None:
    """A store that is rarely called needs several failures as well."""
    found = CircuitBreaker()
    assert [found.record_failure(each * 60) for each in range(FAILURES)] == [False] * (FAILURES - 1) + [True]


def test_a_success_restarts_the_span() -> None:
    """Failures before a success do not count."""
    found = CircuitBreaker()
    for _ in range(10 * FAILURES):
        found.record_failure(0)
    found.record_success()
    assert not any(found.record_failure(SPAN) for _ in range(10 * FAILURES))


def test_an_open_circuit_refuses_calls_for_the_pause() -> None:
    """An open circuit refuses calls and returns the rest of the pause."""
    found = opened()
    assert found.wait(0, may_probe=True) == PROBE_PAUSE
    assert found.wait(PROBE_PAUSE / 2, may_probe=True) == PROBE_PAUSE / 2


def test_the_probe_is_a_quick_call() -> None:
    """After the pause one quick call is the probe, but never a long call."""
    found = opened()
    assert found.wait(PROBE_PAUSE, may_probe=False) == PROBE_PAUSE
    assert found.wait(PROBE_PAUSE, may_probe=True) == 0
    assert found.wait(PROBE_PAUSE, may_probe=True) == 2 * PROBE_PAUSE


def test_the_pause_doubles_with_each_probe() -> None:
    """The pause doubles from a quarter of a second to five seconds, and is reset when the circuit closes."""
    found = opened()
    now, pauses = 0.0, []
    for _ in range(8):
        pauses.append(found.wait(now, may_probe=True))
        now += pauses[-1]
        assert found.wait(now, may_probe=True) == 0
        assert not found.record_failure(now)
    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5, 5]
    assert found.record_success()
    for _ in range(FAILURES):
        found.record_failure(now)
    assert found.record_failure(now + SPAN)
    assert found.wait(now + SPAN, may_probe=True) == PROBE_PAUSE


def test_one_success_closes_the_circuit() -> None:
    """One success closes the circuit and resets the count of failures."""
    found = opened()
    assert found.record_success()
    assert not found.record_success()
    assert found.wait(0, may_probe=False) == 0
    assert not found.record_failure(0)
    assert found.wait(0, may_probe=False) == 0


def test_retries_are_limited() -> None:
    """Retries are at most a fifth of all calls and the reserve."""
    budget = RetryBudget()
    spent = 0
    for _ in range(1000):
        budget.earn()
        spent += budget.spend()
    assert 200 <= spent <= 211


def test_the_retry_budget_is_bounded() -> None:
    """Unused retries add up to the reserve only."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2


async def test_s15_calls_to_a_dead_store_fail_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After the circuit has opened, a call to a dead store fails at once and is not sent."""
    opens_at_once(monkeypatch, pause=60)
    async with facing(silence, timeouts=TIMEOUTS) as (store, server):
        await asyncio.gather(*(store.head(REF) for _ in range(2 * FAILURES)), return_exceptions=True)
        asked = server.connections
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StorageUnavailableError) as refused:
                await store.head(REF)
            assert 1 <= (refused.value.retry_after or 0) <= 60
        assert time.monotonic() - began < 10 * TIMEOUTS.total  # a tenth of what it takes to wait for each
        assert server.connections == asked
    opened = {"event": "broker.store_circuit_opened", "reason": "HeadObject got no response, TimeoutError"}
    assert [json.loads(record.getMessage()) for record in caplog.records] == [opened]


async def test_failed_streams_of_clients_open_no_circuit(caplog: pytest.LogCaptureFixture) -> None:
    """Streamed parts without a response do not count as failures of the store: their clients may have been too slow."""
    async with facing(resets()) as (store, _server):
        for _ in range(2 * FAILURES):
            with pytest.raises(StorageUnavailableError):
                await store.send_part(REF, "an-id", 7, payload(b"some", is_repeatable=False))
    assert caplog.records == []


async def test_s15_a_probe_finds_a_recovered_store(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After the pause a quick call, but no copy, is sent to the store, and its success closes the circuit."""
    opens_at_once(monkeypatch, pause=1)
    async with facing(resets()) as (store, server):
        for _ in range(FAILURES):
            await unavailable(store, HEAD)
        server.acts = (says(HEAD.good),)
        await unavailable(store, HEAD)
        await asyncio.sleep(1)  # past the pause
        assert "the circuit breaker is open" in await unavailable(store, VERBS["copy"])
        assert await store.head(REF) == HEAD.result
        assert await store.head(REF) == HEAD.result
    assert [json.loads(record.getMessage())["event"] for record in caplog.records] == [
        "broker.store_circuit_opened",
        "broker.store_circuit_closed",
    ]


async def test_s04_an_overloaded_store_opens_the_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The circuit opens after repeated 503 responses, and few requests are sent."""
    opens_at_once(monkeypatch, pause=60)
    async with facing(says(error(503, "SlowDown"))) as (store, server):
        for _ in range(3 * FAILURES):
            await unavailable(store, HEAD)
        assert FAILURES <= len(server.requests) <= 2 * FAILURES


async def test_a_refusal_is_not_a_failure() -> None:
    """A refusal by the store does not open the circuit."""
    async with facing(keeps(error(403, "AccessDenied"))) as (store, server):
        for _ in range(3 * FAILURES):
            await unavailable(store, HEAD)
        assert len(server.requests) == 3 * FAILURES


async def test_a_cancelled_call_is_not_recorded() -> None:
    """A cancelled call is neither a failure nor a success of the store."""
    async with facing(silence) as (store, server):
        for _ in range(2 * FAILURES):
            call = asyncio.create_task(store.head(REF))
            await asyncio.sleep(0.01)  # it has asked
            call.cancel()
        server.acts = (says(HEAD.good),)
        assert await store.head(REF) == HEAD.result


@pytest.mark.parametrize("acts", [(resets(),), (says(error(500, "InternalError")),)], ids=["reset", "500"])
async def test_s04_retries_do_not_double_an_overload(acts: tuple[Act, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing store receives few more requests than there are calls."""
    monkeypatch.setattr(circuit_breaker, "FAILURES", 10_000)
    async with facing(*acts) as (store, server):
        await asyncio.gather(*(store.head(REF) for _ in range(100)), return_exceptions=True)
        assert 100 <= len(server.requests) <= 131


async def test_overload_does_not_reduce_goodput() -> None:
    """Beyond the capacity of the store, calls that get no slot fail early, and the others succeed as before."""

    async def in_a_moment(request: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(LATE.total * 0.3)
        await says(HEAD.good)(request, writer)

    async with facing(in_a_moment, timeouts=LATE, concurrency=8) as (store, server):
        crowd = await asyncio.gather(*(store.head(REF) for _ in range(100)), return_exceptions=True)
        refused = [str(one.reason) for one in crowd if isinstance(one, StorageUnavailableError)]
        assert refused == ["HeadObject got no free slot"] * 92
        assert len(server.requests) == 8
        assert await store.head(REF) == HEAD.result


async def test_calls_with_a_place_wait_for_no_slot() -> None:
    """Calls in a place need no slot, and the place is free again afterwards."""
    async with facing(silence, timeouts=LATE, concurrency=1) as (store, server):
        hanging = asyncio.create_task(store.head(REF))
        await becomes(lambda: server.connections == 1)
        server.acts = (silence, says(HEAD.good))
        for _ in range(2):
            async with store.reserve():
                assert [*await asyncio.gather(store.head(REF), store.head(REF))] == [HEAD.result] * 2
        await asyncio.gather(hanging, return_exceptions=True)


async def test_there_are_as_many_places_as_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gets no place in time is refused before any call."""
    monkeypatch.setattr(transport, "RESERVATION_WAIT", 0.05)
    async with facing(says(HEAD.good), concurrency=1) as (store, server):
        async with store.reserve():
            with pytest.raises(StorageUnavailableError) as refused:
                await asyncio.create_task(_placed(store))
            assert refused.value.reason == "The request got no free slot"
            assert server.connections == 0
        await _placed(store)


async def _placed(store: ObjectStore) -> None:
    async with store.reserve():
        await store.head(REF)


async def test_s16_slow_copies_delay_no_quick_call() -> None:
    """Slow copies do not delay a quick call."""
    async with facing(silence, timeouts=LATE, long_calls=2) as (store, server):
        copies = [asyncio.create_task(store.copy(REF, TARGET, if_match="a", headers={})) for _ in range(50)]
        await becomes(lambda: server.connections == 2)
        await asyncio.sleep(0.1)  # more would have connected by then
        assert server.connections == 2
        server.acts = (says(HEAD.good),)
        assert await store.head(REF) == HEAD.result
        outcomes = await asyncio.gather(*copies, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailableError}
