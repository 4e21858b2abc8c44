"""The lag of the event loop: how late a timer of the loop is called."""

import asyncio
from typing import Final

INTERVAL: Final = 0.5
"""Seconds between two measurements."""


class EventLoopLag:
    """The longest lag since the last scrape.

    A handler that blocks the loop delays the next measurement. A block that begins and ends between two measurements
    is not seen; those that matter are long, or many.
    """

    def __init__(self) -> None:
        self._longest = 0.0
        self._due = float("inf")  # by the loop's clock

    async def watch(self) -> None:
        """Measure until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            self._due = now() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self._longest = self._latest()

    def take(self) -> float:
        """Return the longest lag in seconds, with that of a measurement that is overdue, and start anew."""
        longest, self._longest = self._latest(), 0.0
        return longest

    def _latest(self) -> float:
        return max(self._longest, asyncio.get_running_loop().time() - self._due)
