"""The lock of a name: one holder at a time, and no wait without a timeout."""

import asyncio

import pytest

from broker.service import exclusive
from broker.service.exclusive import Exclusive


async def test_one_holder_at_a_time() -> None:
    """Two holders never have the lock of one name at the same time."""
    locks, held, most = Exclusive(), 0, 0

    async def hold() -> None:
        nonlocal held, most
        async with locks.lock("a"):
            held += 1
            most = max(most, held)
            await asyncio.sleep(0)
            held -= 1

    await asyncio.gather(*(hold() for _ in range(10)))
    assert most == 1
    assert locks._locks == {}


async def test_names_are_independent() -> None:
    """The lock of one name does not delay the lock of another name."""
    locks = Exclusive()
    async with locks.lock("a"), asyncio.timeout(1), locks.lock("b"):
        pass


async def test_timeout_continues_without_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout the work continues, and the lock stays with its holder."""
    monkeypatch.setattr(exclusive, "LOCK_TIMEOUT", 0.01)
    locks = Exclusive()
    async with locks.lock("a"):
        async with locks.lock("a"):
            pass
        assert locks._locks["a"][0].locked()
    assert locks._locks == {}


async def test_cancelled_wait_is_removed() -> None:
    """A cancelled wait leaves no entry behind."""
    locks = Exclusive()

    async def wait() -> None:
        async with locks.lock("a"):
            pass

    async with locks.lock("a"):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)  # it waits
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert locks._locks == {}
