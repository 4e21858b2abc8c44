"""Batches: order, failure and cancellation. A refused batch must not load the store."""

import asyncio

import pytest

from broker.service.batches import CONCURRENCY, for_each


async def test_results_are_in_order() -> None:
    """Results have the order of the items, whichever item finishes first."""

    async def work(item: int) -> int:
        await asyncio.sleep(0.001 * (5 - item))
        return item * 10

    assert await for_each(range(5), work) == [0, 10, 20, 30, 40]
    assert await for_each((), work) == []


async def test_failure_starts_no_further_item() -> None:
    """After a failure no item is started, and the items in progress finish."""
    started, finished = [], []

    async def work(item: int) -> None:
        started.append(item)
        await asyncio.sleep(0.001)
        if item == 3:
            raise LookupError
        await asyncio.sleep(0.01)
        finished.append(item)

    with pytest.raises(LookupError):
        await for_each(range(100), work)
    assert started == list(range(CONCURRENCY))
    assert finished == [item for item in started if item != 3]


async def test_first_failure_is_raised() -> None:
    """Of several failures the first one is raised."""

    async def work(item: int) -> None:
        await asyncio.sleep(0.001 * (10 - item))
        raise LookupError(item)

    with pytest.raises(LookupError, match="7"):
        await for_each(range(8), work)


async def test_cancellation_reaches_items_in_progress() -> None:
    """The cancellation of a request cancels its items in progress."""
    cancelled = []

    async def work(item: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    run = asyncio.create_task(for_each(range(100), work))
    await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sorted(cancelled) == list(range(CONCURRENCY))
