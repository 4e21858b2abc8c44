"""Slots for calls to the store: a limit of concurrent calls, and a share of it for each user.

Rules of this module
- A user holds at most a quarter of the slots and waits for them in its own queue, which delays no other user. A
  service has no such limit, because it may be a backend that confirms for all users.
- ``CALLER`` is the user of the running task and of the tasks that it starts. The web layer sets it after it has
  verified a token. Work that several requests share belongs to the request that started it.
- The queue of a user exists only while a call of that user runs or waits.
- A caller waits a short time for a slot, so that the deadline leaves enough time for the call itself.
"""

import asyncio
from contextvars import ContextVar
from typing import Final

CALLER: Final[ContextVar[str | None]] = ContextVar("CALLER", default=None)
"""The subject of the user for whom the store is called; ``None`` for a service and for the broker itself."""

_SHARES: Final = 4
"""The slots are divided into so many shares, of which one user holds at most one."""


class Slots:
    """A semaphore of ``total`` slots, of which one user holds at most a quarter."""

    def __init__(self, total: int) -> None:
        self._free = asyncio.Semaphore(total)
        self._share = max(1, total // _SHARES)
        self._queues: dict[str, _Queue] = {}

    async def acquire(self, user: str | None, until: float) -> None:
        """Acquire a slot; raise ``TimeoutError`` if none is free by ``until``, an instant of the loop's clock."""
        queue = None if user is None else self._queue(user)
        if not self._free.locked() and (queue is None or not queue.slots.locked()):
            if queue:
                await queue.slots.acquire()  # neither of the two waits
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout_at(until):
                await self._wait(queue)
        except BaseException:
            self._leave(user, queue)
            raise

    def release(self, user: str | None) -> None:
        """Release a slot of ``user``."""
        self._free.release()
        if user is not None:
            queue = self._queues[user]
            queue.slots.release()
            self._leave(user, queue)

    async def _wait(self, queue: "_Queue | None") -> None:
        if queue:
            await queue.slots.acquire()
        try:
            await self._free.acquire()
        except BaseException:
            if queue:
                queue.slots.release()
            raise

    def _queue(self, user: str) -> "_Queue":
        queue = self._queues.get(user)
        if queue is None:
            queue = self._queues[user] = _Queue(self._share)
        queue.calls += 1
        return queue

    def _leave(self, user: str | None, queue: "_Queue | None") -> None:
        if user is not None and queue:
            queue.calls -= 1
            if not queue.calls:
                del self._queues[user]


class _Queue:
    """The share of one user, and the number of its calls that hold a slot or wait for one."""

    __slots__ = ("calls", "slots")

    def __init__(self, share: int) -> None:
        self.slots = asyncio.Semaphore(share)
        self.calls = 0
