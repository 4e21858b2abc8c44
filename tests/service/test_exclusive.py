"""One at a time for each name, and nobody waits for ever."""

import asyncio

import pytest

from broker.service import exclusive
from broker.service.exclusive import Exclusive


async def test_turns_of_one_name_come_one_after_the_other() -> None:
    """No two hold it at once."""
    turns, held, most = Exclusive(), 0, 0

    async def hold() -> None:
        nonlocal held, most
        async with turns.lock("a"):
            held += 1
            most = max(most, held)
            await asyncio.sleep(0)
            held -= 1

    await asyncio.gather(*(hold() for _ in range(10)))
    assert most == 1
    assert turns._locks == {}


async def test_turns_of_other_names_do_not_wait() -> None:
    """They have nothing to do with each other."""
    turns = Exclusive()
    async with turns.lock("a"), asyncio.timeout(1), turns.lock("b"):
        pass


async def test_who_waited_long_enough_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """And takes nothing from who holds the turn."""
    monkeypatch.setattr(exclusive, "LOCK_TIMEOUT", 0.01)
    turns = Exclusive()
    async with turns.lock("a"):
        async with turns.lock("a"):
            pass
        assert turns._locks["a"][0].locked()
    assert turns._locks == {}


async def test_who_is_cancelled_while_waiting_leaves_nothing() -> None:
    """And the turn goes to the next."""
    turns = Exclusive()

    async def wait() -> None:
        async with turns.lock("a"):
            pass

    async with turns.lock("a"):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)  # it waits
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert turns._locks == {}
