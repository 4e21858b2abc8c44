"""One run for all who ask for the same at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Callers that come while a run for their key is under way get that run's outcome.

    A caller that is cancelled leaves the run to the others; the run ends by its own deadline.
    """

    def __init__(self) -> None:
        self._runs: dict[str, asyncio.Task[T]] = {}

    async def join(self, key: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of the run for ``key``, started by ``start`` when there is none."""
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = asyncio.create_task(start())
            run.add_done_callback(lambda _: self._runs.pop(key))
            run.add_done_callback(_retrieve)
        return await asyncio.shield(run)


def _retrieve(run: "asyncio.Task[T]") -> None:
    """An outcome that nobody waits for any more is no unhandled error."""
    if not run.cancelled():
        run.exception()
