"""Retries of calls to the store in a run of hours, which a short outage must not end."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from broker.errors import StorageUnavailableError

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a call is tried."""

PAUSE: Final = 1.0
"""Seconds before the second attempt; each further pause is twice as long, or as long as the store requests."""

_REFUSED: Final = re.compile(r" returned (?:4(?!08|29)|501)|AccessDenied")


class Stop:
    """The request of a signal to end after the work in progress."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.set = self._event.set
        self.is_set = self._event.is_set

    async def wait(self, seconds: float) -> None:
        """Wait for a stop, at most so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)


def is_refused(reason: str) -> bool:
    """Return whether a retry is of no use, by the reason of a ``StorageUnavailableError``."""
    return _REFUSED.search(reason) is not None


async def persist(call: Callable[[], Awaitable[T]], stop: Stop) -> T:
    """Return the result of a call that may be repeated; raise ``StorageUnavailableError`` after its last attempt."""
    pause = PAUSE
    for _ in range(ATTEMPTS - 1):
        try:
            return await call()
        except StorageUnavailableError as error:
            if stop.is_set() or is_refused(error.reason):
                raise
            await stop.wait(max(pause, error.retry_after or 0))
            pause *= 2
    return await call()
