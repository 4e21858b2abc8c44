"""Work on many items of one request: a bounded number at once, and none for a request that is refused."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

CONCURRENCY: Final = 8
"""Items of one request that are worked on at once. What one request asks of the store is bounded by it."""

T = TypeVar("T")
R = TypeVar("R")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """The result of ``work`` for each item, in order. The first failure cancels the rest and is raised."""
    waiting = list(enumerate(items))
    results: dict[int, R] = {}
    queue = iter(waiting)

    async def worker() -> None:
        for index, item in queue:
            results[index] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(CONCURRENCY, len(waiting))):
                group.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [results[index] for index, _ in waiting]
