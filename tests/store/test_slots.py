"""Slots for calls to the store: bounded, shared by users, and always released."""

import asyncio

import pytest

from broker.store.slots import Slots


def soon(seconds: float = 0.05) -> float:
    """Return an instant of the event loop's clock."""
    return asyncio.get_running_loop().time() + seconds


async def test_a_user_holds_at_most_a_quarter() -> None:
    """A user holds at most a quarter of the slots, and the others stay free."""
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


async def test_waiting_users_delay_no_other_user() -> None:
    """The waiting calls of one user do not delay another user."""
    slots = Slots(8)
    crowd = [asyncio.create_task(slots.acquire("user-1", soon(5))) for _ in range(100)]
    await asyncio.sleep(0)  # all have queued
    await slots.acquire("user-2", soon())
    assert sum(task.done() for task in crowd) == 2
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_released_slot_goes_to_a_waiter() -> None:
    """A released slot goes to a waiting call of the user."""
    slots = Slots(4)
    await slots.acquire("user-1", soon())
    waiting = asyncio.create_task(slots.acquire("user-1", soon(5)))
    await asyncio.sleep(0)  # it has queued
    slots.release("user-1")
    await asyncio.wait_for(waiting, 5)
    slots.release("user-1")


async def test_idle_users_have_no_queue() -> None:
    """A user without calls has no queue, after success, timeout and cancellation."""
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


async def test_a_share_is_at_least_one() -> None:
    """A quarter of two slots is one."""
    slots = Slots(2)
    await slots.acquire("user-1", soon())
    await slots.acquire("user-2", soon())


async def test_a_timeout_releases_the_share() -> None:
    """If services hold all slots, a user whose wait ends has its whole share again."""
    slots = Slots(4)
    for _ in range(4):
        await slots.acquire(None, soon())
    with pytest.raises(TimeoutError):
        await slots.acquire("user-1", soon())
    slots.release(None)
    await slots.acquire("user-1", soon())
