"""One at a time for each name: an abort waits for a confirm of the same upload in this process, and the reverse.

It makes answers in one process agree with each other. That a deletion is final does not rest on it: other processes
have no part in it, and ``deletion`` holds without it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE: Final = 3.0
"""Seconds to wait for one's turn. Then one goes on all the same: a promotion in ranges may take far longer."""


class Exclusive:
    """A turn for each name; what is kept of a name is there while somebody has its turn or waits for it."""

    def __init__(self) -> None:
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Hold the turn of ``name``, if it comes in time."""
        lock, count = self._turns.get(name) or (asyncio.Lock(), 0)
        self._turns[name] = (lock, count + 1)
        is_ours = False
        try:
            is_ours = await _acquired(lock)
            yield
        finally:
            if is_ours:
                lock.release()
            _, count = self._turns[name]
            if count > 1:
                self._turns[name] = (lock, count - 1)
            else:
                del self._turns[name]


async def _acquired(lock: asyncio.Lock) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await lock.acquire()
    except TimeoutError:
        return False
