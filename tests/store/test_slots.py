"""Slots of the store: bounded for all, shared fairly by users, given back whatever happens."""

import asyncio

import pytest

from broker.store.slots import Slots


def soon(seconds: float = 0.05) -> float:
    """An instant of the loop's clock."""
    return asyncio.get_running_loop().time() + seconds


async def test_a_user_holds_at_most_a_quarter() -> None:
    """The other slots stay free for others."""
    slots = Slots(8)
    for _ in range(2):
        await slots.acquire("user-1", soon())
    with pytest.raises(TimeoutError):
        await slots.acquire("user-1", soon())
    for _ in range(2):
        await slots.acquire("user-2", soon())
    for _ in range(4):
        await slots.acquire(None, soon())
    with pytest.raises(TimeoutError):
        await slots.acquire(None, soon())


async def test_a_user_who_waits_keeps_nobody_else_waiting() -> None:
    """Each user has a queue of its own."""
    slots = Slots(8)
    crowd = [asyncio.create_task(slots.acquire("user-1", soon(5))) for _ in range(100)]
    await asyncio.sleep(0)  # all have queued
    await slots.acquire("user-2", soon())
    assert sum(task.done() for task in crowd) == 2
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_slot_that_is_given_back_goes_to_who_waits() -> None:
    """First within the user's queue, in order."""
    slots = Slots(4)
    await slots.acquire("user-1", soon())
    waiting = asyncio.create_task(slots.acquire("user-1", soon(5)))
    await asyncio.sleep(0)  # it has queued
    slots.release("user-1")
    await asyncio.wait_for(waiting, 5)
    slots.release("user-1")


async def test_nothing_is_kept_of_users_who_ask_for_nothing() -> None:
    """Neither of those who were served, nor of those who gave up, nor of those who were cancelled."""
    slots = Slots(4)
    for number in range(50):
        await slots.acquire(f"user-{number}", soon())
        slots.release(f"user-{number}")
    for _ in range(4):
        await slots.acquire(None, soon())
    with pytest.raises(TimeoutError):
        await slots.acquire("late", soon())
    cancelled = asyncio.create_task(slots.acquire("cancelled", soon(5)))
    await asyncio.sleep(0)  # it has queued
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert slots._queues == {}


async def test_a_few_slots_still_have_one_for_each_user() -> None:
    """A quarter of two is one."""
    slots = Slots(2)
    await slots.acquire("user-1", soon())
    await slots.acquire("user-2", soon())


async def test_who_waits_for_the_whole_gives_its_share_back_when_it_gives_up() -> None:
    """All slots are taken by services; the user's own share is free again afterwards."""
    slots = Slots(4)
    for _ in range(4):
        await slots.acquire(None, soon())
    with pytest.raises(TimeoutError):
        await slots.acquire("user-1", soon())
    slots.release(None)
    await slots.acquire("user-1", soon())
