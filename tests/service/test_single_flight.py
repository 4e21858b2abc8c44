"""One run for all who ask at once."""

import asyncio

import pytest

from broker.service.single_flight import SingleFlight


class Counted:
    """A run that waits for a sign and counts how often it was started."""

    def __init__(self) -> None:
        self.starts = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.starts += 1
        await self.go.wait()
        return self.starts


async def test_all_who_ask_while_a_run_is_under_way_get_its_outcome() -> None:
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    callers = [asyncio.ensure_future(flights.join("a", run)) for _ in range(50)]
    await asyncio.sleep(0)  # all that can has begun
    run.go.set()
    assert await asyncio.gather(*callers) == [1] * 50


async def test_the_next_to_ask_starts_a_new_run() -> None:
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    run.go.set()
    assert [await flights.join("a", run), await flights.join("a", run)] == [1, 2]


async def test_runs_for_different_keys_are_apart() -> None:
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    run.go.set()
    assert sorted(await asyncio.gather(flights.join("a", run), flights.join("b", run))) == [1, 2]


async def test_a_caller_who_leaves_does_not_end_the_run_of_the_others() -> None:
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    leaver, stayer = (asyncio.ensure_future(flights.join("a", run)) for _ in range(2))
    await asyncio.sleep(0)  # all that can has begun
    leaver.cancel()
    run.go.set()
    assert await stayer == 1


async def test_a_failure_is_everybodys_and_is_forgotten() -> None:
    flights: SingleFlight[int] = SingleFlight()

    async def fail() -> int:
        raise LookupError

    outcomes = await asyncio.gather(*(flights.join("a", fail) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3
    run = Counted()
    run.go.set()
    assert await flights.join("a", run) == 1


async def test_a_failure_nobody_waits_for_is_no_unhandled_error() -> None:
    flights: SingleFlight[int] = SingleFlight()
    go = asyncio.Event()

    async def fail() -> int:
        await go.wait()
        raise LookupError

    caller = asyncio.ensure_future(flights.join("a", fail))
    await asyncio.sleep(0)  # all that can has begun
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go.set()
    await asyncio.sleep(0)  # the run ends
    await asyncio.sleep(0)  # and is forgotten


async def test_a_run_that_the_process_ends_early_is_no_unhandled_error() -> None:
    flights: SingleFlight[int] = SingleFlight()
    caller = asyncio.ensure_future(flights.join("a", Counted()))
    await asyncio.sleep(0)  # all that can has begun
    flights._runs["a"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not flights._runs
