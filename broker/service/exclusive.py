"""A lock for each name, so that in one process an abort and a confirm of the same upload wait for each other.

It makes the responses of one process consistent. A deletion is final without it: other processes do not share the lock,
and ``deletion`` does not depend on it.
"""

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

LOCK_TIMEOUT: Final = 3.0
"""Seconds to wait for a lock. Then the work continues without it: a promotion in ranges may take far longer."""


@dataclass(frozen=True, slots=True)
class Exclusive:
    """Locks by name. The lock of a name exists while it is held or waited for."""

    _locks: dict[str, tuple[asyncio.Lock, int]] = field(default_factory=dict, init=False)

    def lock(self, name: str) -> "_Lock":
        """Return the lock of ``name``; ``async with`` holds it, unless it times out."""
        return _Lock(self._locks, name)


class _Lock:
    """One user of the lock of a name. The lock is stored with the number of its users."""

    def __init__(self, locks: dict[str, tuple[asyncio.Lock, int]], name: str) -> None:
        self._locks = locks
        self._name = name
        self._lock, count = locks.get(name) or (asyncio.Lock(), 0)
        self._is_held = False
        locks[name] = (self._lock, count + 1)

    async def __aenter__(self) -> None:
        if not self._lock.locked():
            self._is_held = await self._lock.acquire()  # returns at once
            return
        try:
            async with asyncio.timeout(LOCK_TIMEOUT):
                self._is_held = await self._lock.acquire()
        except TimeoutError:
            pass
        except BaseException:
            self._remove_user()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_held:
            self._lock.release()
        self._remove_user()

    def _remove_user(self) -> None:
        _, count = self._locks[self._name]
        if count > 1:
            self._locks[self._name] = (self._lock, count - 1)
        else:
            del self._locks[self._name]
