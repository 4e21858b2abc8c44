"""One run for all concurrent callers with the same key."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SingleFlight(Generic[T]):
    """Gives callers that arrive during a run for their key the result of that run.

    The cancellation of one caller does not cancel the run; the run ends by its own deadline.
    """

    _runs: dict[str, asyncio.Task[T]] = field(default_factory=dict, init=False)

    async def join(self, key: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the run for ``key``; call ``start`` to begin one if none is in progress."""
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = asyncio.create_task(start())
            run.add_done_callback(lambda _: self._runs.pop(key))
            run.add_done_callback(_retrieve)
        return await asyncio.shield(run)


def _retrieve(run: "asyncio.Task[Any]") -> None:
    """Retrieve the exception of a run, so that asyncio does not log it when all callers were cancelled."""
    if not run.cancelled():
        run.exception()
