"""The rate limit for fetches of the keys that requests cause: a token bucket."""

from collections.abc import Callable
from typing import Final

BURST: Final = 3
"""Number of fetches that may start at once, so that several rotations of keys are seen immediately."""

COOLDOWN: Final = 30.0
"""Seconds in which one more fetch is allowed."""


class FetchBudget:
    """Allows ``BURST`` fetches and one more in each ``COOLDOWN``. The first fetch of a process is free.

    ``clock`` returns seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used_until = float("-inf")  # when all fetches so far are regained

    def wait(self) -> float:
        """Return the seconds until a fetch is allowed; 0 or less if it is allowed now."""
        return self._used_until - (BURST - 1) * COOLDOWN - self._clock()

    def take(self) -> bool:
        """Use one fetch, and return whether it is allowed."""
        if self.wait() > 0:
            return False
        now = self._clock()
        is_first = self._used_until == float("-inf")
        self._used_until = now if is_first else max(now, self._used_until) + COOLDOWN
        return True
