"""When a store that has troubles is not asked: the rules alone, then over a socket."""

import asyncio
import json
import time

import pytest

from broker.errors import StorageUnavailableError
from broker.store import circuit_breaker, transport
from broker.store.circuit_breaker import FAILURES, PAUSE, SPAN, CircuitBreaker, RetryBudget
from broker.store.port import ObjectStore
from tests.patience import becomes

from .calls import LATE, REF, TARGET, TIMEOUTS, VERBS, facing, opens_at_once, unavailable
from .wire import Act, error, keeps, resets, says, silence

HEAD = VERBS["head"]


def opened() -> CircuitBreaker:
    """A breaker that has opened at the instant 0."""
    found = CircuitBreaker()
    assert [found.record_failure(-SPAN) for _ in range(FAILURES)] == [False] * FAILURES
    assert found.record_failure(0)
    return found


def test_a_store_that_answers_is_asked() -> None:
    found = CircuitBreaker()
    for _ in range(10 * FAILURES):
        assert not found.record_failure(0)
        assert not found.record_success()
        assert found.wait(0, may_probe=False) == 0


def test_a_short_outage_opens_nothing() -> None:
    """However many calls fail in it: they must fail over a span of time."""
    found = CircuitBreaker()
    assert not any(found.record_failure(SPAN * each / 1001) for each in range(1001))
    assert found.wait(SPAN, may_probe=False) == 0


def test_a_few_failures_far_apart_open_nothing() -> None:
    """A store that is called seldom needs several failures as well."""
    found = CircuitBreaker()
    assert [found.record_failure(each * 60) for each in range(FAILURES)] == [False] * (FAILURES - 1) + [True]


def test_an_answer_begins_the_span_anew() -> None:
    """Failures before it do not count."""
    found = CircuitBreaker()
    for _ in range(10 * FAILURES):
        found.record_failure(0)
    found.record_success()
    assert not any(found.record_failure(SPAN) for _ in range(10 * FAILURES))


def test_an_open_circuit_refuses_calls_for_the_pause() -> None:
    """The wait is what is left of it."""
    found = opened()
    assert found.wait(0, may_probe=True) == PAUSE
    assert found.wait(PAUSE / 2, may_probe=True) == PAUSE / 2


def test_after_the_pause_one_quick_call_is_the_probe() -> None:
    """A long call is not: its caller would wait too long for the outcome."""
    found = opened()
    assert found.wait(PAUSE, may_probe=False) == PAUSE
    assert found.wait(PAUSE, may_probe=True) == 0
    assert found.wait(PAUSE, may_probe=True) == 2 * PAUSE


def test_the_pause_doubles_with_each_probe() -> None:
    """From a quarter of a second to five seconds, and begins anew when the circuit opens the next time."""
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
    assert found.wait(now + SPAN, may_probe=True) == PAUSE


def test_one_success_ends_it() -> None:
    found = opened()
    assert found.record_success()
    assert not found.record_success()
    assert found.wait(0, may_probe=False) == 0
    assert not found.record_failure(0)
    assert found.wait(0, may_probe=False) == 0


def test_second_attempts_are_few() -> None:
    budget = RetryBudget()
    spent = 0
    for _ in range(1000):
        budget.earn()
        spent += budget.spend()
    assert 200 <= spent <= 211


def test_what_is_not_spent_makes_no_fortune() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2


async def test_s15_a_dead_store_is_asked_no_more_and_said_to_be_away_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
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


async def test_s15_a_store_that_is_back_is_found_by_one_quick_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
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


async def test_s04_a_store_that_is_overloaded_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    opens_at_once(monkeypatch, pause=60)
    async with facing(says(error(503, "SlowDown"))) as (store, server):
        for _ in range(3 * FAILURES):
            await unavailable(store, HEAD)
        assert FAILURES <= len(server.requests) <= 2 * FAILURES


async def test_a_refusal_is_an_answer() -> None:
    async with facing(keeps(error(403, "AccessDenied"))) as (store, server):
        for _ in range(3 * FAILURES):
            await unavailable(store, HEAD)
        assert len(server.requests) == 3 * FAILURES


async def test_a_caller_that_goes_away_says_nothing_of_the_store() -> None:
    async with facing(silence) as (store, server):
        for _ in range(2 * FAILURES):
            call = asyncio.create_task(store.head(REF))
            await asyncio.sleep(0.01)  # it has asked
            call.cancel()
        server.acts = (says(HEAD.good),)
        assert await store.head(REF) == HEAD.result


@pytest.mark.parametrize("acts", [(resets(),), (says(error(500, "InternalError")),)], ids=["reset", "500"])
async def test_s04_troubles_are_not_doubled(acts: tuple[Act, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "FAILURES", 10_000)
    async with facing(*acts) as (store, server):
        await asyncio.gather(*(store.head(REF) for _ in range(100)), return_exceptions=True)
        assert 100 <= len(server.requests) <= 131


async def test_past_its_capacity_a_store_answers_as_many_calls_as_before() -> None:
    """Those for which there is no slot soon are refused early, and cost the others nothing."""

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
    """Not even while others hold all slots; and the place is free again afterwards."""
    async with facing(silence, timeouts=LATE, concurrency=1) as (store, server):
        hanging = asyncio.create_task(store.head(REF))
        await becomes(lambda: server.connections == 1)
        server.acts = (silence, says(HEAD.good))
        for _ in range(2):
            async with store.place():
                assert [*await asyncio.gather(store.head(REF), store.head(REF))] == [HEAD.result] * 2
        await asyncio.gather(hanging, return_exceptions=True)


async def test_there_are_as_many_places_as_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gets none soon is refused, before anything is asked of the store."""
    monkeypatch.setattr(transport, "PLACE_WAIT", 0.05)
    async with facing(says(HEAD.good), concurrency=1) as (store, server):
        async with store.place():
            with pytest.raises(StorageUnavailableError) as refused:
                await asyncio.create_task(_placed(store))
            assert refused.value.reason == "The request got no free slot"
            assert server.connections == 0
        await _placed(store)


async def _placed(store: ObjectStore) -> None:
    async with store.place():
        await store.head(REF)


async def test_s16_slow_copies_keep_nobody_from_a_quick_look() -> None:
    async with facing(silence, timeouts=LATE, long_calls=2) as (store, server):
        copies = [asyncio.create_task(store.copy(REF, TARGET, if_match="a", headers={})) for _ in range(50)]
        await becomes(lambda: server.connections == 2)
        await asyncio.sleep(0.1)  # more would have connected by then
        assert server.connections == 2
        server.acts = (says(HEAD.good),)
        assert await store.head(REF) == HEAD.result
        outcomes = await asyncio.gather(*copies, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailableError}
