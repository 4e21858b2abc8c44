"""One run for all concurrent callers."""

import asyncio

import pytest

from broker.service.single_flight import SingleFlight


class Counted:
    """A run that waits for an event and counts its starts."""

    def __init__(self) -> None:
        self.starts = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.starts += 1
        await self.go.wait()
        return self.starts


async def test_concurrent_callers_share_a_run() -> None:
    """All callers during a run get its result."""
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    callers = [asyncio.ensure_future(flights.join("a", run)) for _ in range(50)]
    await asyncio.sleep(0)  # all tasks have started
    run.go.set()
    assert await asyncio.gather(*callers) == [1] * 50


async def test_later_caller_starts_a_new_run() -> None:
    """A caller after the end of a run starts a new one."""
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    run.go.set()
    assert [await flights.join("a", run), await flights.join("a", run)] == [1, 2]


async def test_keys_have_separate_runs() -> None:
    """Callers with different keys do not share a run."""
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    run.go.set()
    assert sorted(await asyncio.gather(flights.join("a", run), flights.join("b", run))) == [1, 2]


async def test_cancelled_caller_does_not_end_the_run() -> None:
    """The cancellation of one caller leaves the run to the others."""
    flights: SingleFlight[int] = SingleFlight()
    run = Counted()
    cancelled, waiting = (asyncio.ensure_future(flights.join("a", run)) for _ in range(2))
    await asyncio.sleep(0)  # all tasks have started
    cancelled.cancel()
    run.go.set()
    assert await waiting == 1


async def test_failure_reaches_all_callers() -> None:
    """A failure is raised to all callers of the run, and the next run starts anew."""
    flights: SingleFlight[int] = SingleFlight()

    async def fail() -> int:
        raise LookupError

    outcomes = await asyncio.gather(*(flights.join("a", fail) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3
    run = Counted()
    run.go.set()
    assert await flights.join("a", run) == 1


async def test_failure_without_callers_is_handled() -> None:
    """A failure after the cancellation of all callers is not an unhandled exception."""
    flights: SingleFlight[int] = SingleFlight()
    go = asyncio.Event()

    async def fail() -> int:
        await go.wait()
        raise LookupError

    caller = asyncio.ensure_future(flights.join("a", fail))
    await asyncio.sleep(0)  # all tasks have started
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go.set()
    await asyncio.sleep(0)  # the run ends
    await asyncio.sleep(0)  # and its entry is removed


async def test_cancelled_run_is_handled() -> None:
    """The cancellation of a run itself is not an unhandled exception."""
    flights: SingleFlight[int] = SingleFlight()
    caller = asyncio.ensure_future(flights.join("a", Counted()))
    await asyncio.sleep(0)  # all tasks have started
    flights._runs["a"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not flights._runs
