"""When a store that has troubles is not asked: the rules alone, then over a socket."""

import asyncio
import json
import time

import pytest

from broker.errors import StorageUnavailableError
from broker.store import breaker
from broker.store.breaker import FAILURES, PAUSE, CircuitBreaker, RetryBudget
from tests.patience import becomes

from .calls import LATE, REF, TARGET, TIMEOUTS, VERBS, facing, unavailable
from .wire import Act, error, keeps, resets, says, silence

HEAD = VERBS["head"]


def opened(now: float = 0.0) -> CircuitBreaker:
    """A breaker that just opened."""
    found = CircuitBreaker()
    assert [found.failed(now) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    return found


def test_a_store_that_answers_is_asked() -> None:
    found = CircuitBreaker()
    for _ in range(10 * FAILURES):
        assert not found.failed(0)
        assert not found.succeeded()
        assert found.wait(0, may_probe=False) == 0


def test_after_failures_in_a_row_it_is_left_alone_for_the_pause() -> None:
    found = opened()
    assert found.wait(1, may_probe=True) == PAUSE - 1
    assert found.wait(PAUSE - 0.1, may_probe=True) == pytest.approx(0.1)


def test_after_the_pause_one_quick_call_finds_out() -> None:
    found = opened()
    assert found.wait(PAUSE, may_probe=False) == PAUSE
    assert found.wait(PAUSE, may_probe=True) == 0
    assert found.wait(PAUSE, may_probe=True) == PAUSE
    assert found.wait(2 * PAUSE, may_probe=True) == 0


def test_a_probe_that_fails_is_followed_by_a_pause() -> None:
    found = opened()
    assert found.wait(PAUSE, may_probe=True) == 0
    assert not found.failed(PAUSE + 3)
    assert found.wait(PAUSE + 4, may_probe=True) == PAUSE - 1


def test_one_success_ends_it() -> None:
    found = opened()
    assert found.succeeded()
    assert not found.succeeded()
    assert found.wait(0, may_probe=False) == 0
    assert not found.failed(0)
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


async def test_s15_a_dead_store_is_asked_no_more_and_said_to_be_away_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async with facing(silence, timeouts=TIMEOUTS) as (store, server):
        await asyncio.gather(*(store.head(REF) for _ in range(2 * FAILURES)), return_exceptions=True)
        asked = server.connections
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StorageUnavailableError) as refused:
                await store.head(REF)
            assert 1 <= (refused.value.retry_after or 0) <= PAUSE
        assert time.monotonic() - began < 10 * TIMEOUTS.total  # a tenth of what it takes to wait for each
        assert server.connections == asked
    opened = {"event": "broker.store_circuit_opened", "reason": "HeadObject got no answer, TimeoutError"}
    assert [json.loads(record.getMessage()) for record in caplog.records] == [opened]


async def test_s15_a_store_that_is_back_is_found_by_one_quick_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(breaker, "PAUSE", 1.0)
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


async def test_s04_a_store_that_is_overloaded_is_left_alone() -> None:
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
    monkeypatch.setattr(breaker, "FAILURES", 10_000)
    async with facing(*acts) as (store, server):
        await asyncio.gather(*(store.head(REF) for _ in range(100)), return_exceptions=True)
        assert 100 <= len(server.requests) <= 131


async def test_a_crowd_of_our_own_calls_says_nothing_of_a_store_that_answers() -> None:
    """The last of them had a place so late that no store could have answered in time."""

    async def in_a_moment(request: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(LATE.total * 0.3)
        await says(HEAD.good)(request, writer)

    async with facing(in_a_moment, timeouts=LATE, concurrency=2 * FAILURES) as (store, _):
        crowd = await asyncio.gather(*(store.head(REF) for _ in range(10 * FAILURES)), return_exceptions=True)
        failed = [str(one.reason) for one in crowd if isinstance(one, StorageUnavailableError)]
        assert len([reason for reason in failed if "got no answer" in reason]) >= FAILURES
        assert await store.head(REF) == HEAD.result


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
