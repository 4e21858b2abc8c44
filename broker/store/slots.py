"""Who may call the store now: a bounded number of calls at once, and of these a share for each user.

Rules of this module
- A user holds at most a quarter of the slots and waits for them in a queue of its own, which delays no other user. A
  service has no such share: it may be the backend that confirms for everybody.
- ``CALLER`` names the user of the running task, and of the tasks that it starts. The edge sets it once a token is
  verified; work that several requests share belongs to the one that began it.
- What is kept of a user is there while a call of that user runs or waits, and no longer.
- Who waits for a slot waits a short time, so that the work which follows still has its own: see the callers.
"""

import asyncio
from contextvars import ContextVar
from typing import Final

CALLER: Final[ContextVar[str | None]] = ContextVar("CALLER", default=None)
"""The subject of the user on whose behalf the store is called; ``None`` for a service and for the broker itself."""

_SHARE: Final = 4


class Slots:
    """At most ``total`` calls at once, at most a quarter of them for one user."""

    def __init__(self, total: int) -> None:
        self._free = asyncio.Semaphore(total)
        self._share = max(1, total // _SHARE)
        self._queues: dict[str, _Queue] = {}

    async def take(self, user: str | None, until: float) -> None:
        """Take a slot; raises ``TimeoutError`` when there is none by ``until``, an instant of the loop's clock."""
        queue = None if user is None else self._queue(user)
        if not self._free.locked() and (queue is None or not queue.slots.locked()):
            if queue:
                await queue.slots.acquire()  # neither waits
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout_at(until):
                await self._wait(queue)
        except BaseException:
            self._leave(user, queue)
            raise

    def give_back(self, user: str | None) -> None:
        """Give back a slot that was taken."""
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
    """One user's share, and how many calls hold a slot of it or wait for one."""

    __slots__ = ("calls", "slots")

    def __init__(self, share: int) -> None:
        self.slots = asyncio.Semaphore(share)
        self.calls = 0
