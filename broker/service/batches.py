"""Work on many items of one request: a bounded number at once, and no more of it for a request that is refused."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

CONCURRENCY: Final = 8
"""Items of one request that are worked on at once. What one request asks of the store is bounded by it."""

T = TypeVar("T")
R = TypeVar("R")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """The result of ``work`` for each item, in order. After the first failure no item is begun, and it is raised.

    What is under way then ends by itself, in its own time: a call of the store that is cancelled costs its connection,
    and to make another is dearer than the call.
    """
    waiting = list(enumerate(items))
    results: dict[int, R] = {}
    failures: list[Exception] = []
    queue = iter(waiting)

    async def worker() -> None:
        for index, item in queue:
            try:
                results[index] = await work(item)
            except Exception as error:  # noqa: BLE001  whatever it is, it is raised below
                failures.append(error)
            if failures:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(CONCURRENCY, len(waiting))):
            group.create_task(worker())
    if failures:
        raise failures[0]
    return [results[index] for index, _ in waiting]
