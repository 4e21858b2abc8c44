"""Concurrent work on the items of one request, with a bounded number of items at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

CONCURRENCY: Final = 8
"""Items of one request that are in progress at the same time, which bounds its load on the store."""

T = TypeVar("T")
R = TypeVar("R")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """Return the result of ``work`` for each item, in order.

    After the first failure no further item is started, and the failure is raised. Items in progress still finish: a
    cancelled call to the store costs its connection, and a new connection is dearer than the call.
    """
    numbered = list(enumerate(items))
    results: dict[int, R] = {}
    failures: list[Exception] = []
    queue = iter(numbered)

    async def worker() -> None:
        for index, item in queue:
            try:
                results[index] = await work(item)
            except Exception as error:  # noqa: BLE001  every exception is raised below
                failures.append(error)
            if failures:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(CONCURRENCY, len(numbered))):
            group.create_task(worker())
    if failures:
        raise failures[0]
    return [results[index] for index, _ in numbered]
