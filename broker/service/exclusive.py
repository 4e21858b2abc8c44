"""One at a time for each name: an abort waits for a confirm of the same upload in this process, and the reverse.

It makes answers in one process agree with each other. That a deletion is final does not rest on it: other processes
have no part in it, and ``deletion`` holds without it.
"""

import asyncio
from types import TracebackType
from typing import Final

PATIENCE: Final = 3.0
"""Seconds to wait for one's turn. Then one goes on all the same: a promotion in ranges may take far longer."""


class Exclusive:
    """A turn for each name; what is kept of a name is there while somebody has its turn or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def turn(self, name: str) -> "_Turn":
        """The turn of ``name``; ``async with`` holds it, if it comes in time."""
        return _Turn(self._locks, name)


class _Turn:
    """One who waits for the lock of a name, or has it. The lock is kept with how many there are of them."""

    def __init__(self, locks: dict[str, tuple[asyncio.Lock, int]], name: str) -> None:
        self._locks = locks
        self._name = name
        self._lock, count = locks.get(name) or (asyncio.Lock(), 0)
        self._is_ours = False
        locks[name] = (self._lock, count + 1)

    async def __aenter__(self) -> None:
        if not self._lock.locked():
            self._is_ours = await self._lock.acquire()  # which waits for nothing
            return
        try:
            async with asyncio.timeout(PATIENCE):
                self._is_ours = await self._lock.acquire()
        except TimeoutError:
            pass
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._is_ours:
            self._lock.release()
        self._leave()

    def _leave(self) -> None:
        _, count = self._locks[self._name]
        if count > 1:
            self._locks[self._name] = (self._lock, count - 1)
        else:
            del self._locks[self._name]
