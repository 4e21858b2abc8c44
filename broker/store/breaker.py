"""When not to ask a store that has troubles of its own: a circuit breaker and a budget of second attempts.

Both are told the time and know of no store; one of each belongs to one store.
"""

from typing import Final

FAILURES: Final = 5
"""Calls in a row that failed, after which the store is left alone."""

PAUSE: Final = 5.0
"""Seconds for which it is left alone, and between two calls that find out whether it is back."""

_RATIO: Final = 0.2
_RESERVE: Final = 10.0


class CircuitBreaker:
    """Opens after ``FAILURES`` in a row. Then one call in ``PAUSE`` seconds passes, until one succeeds."""

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the store is left alone."""
        return self._failures >= FAILURES

    def wait(self, now: float, *, may_probe: bool) -> float:
        """Seconds for which not to ask: 0.0 for a call that is to be made. ``may_probe`` says that it ends soon."""
        if not self.is_open:
            return 0.0
        if now < self._probe_at:
            return self._probe_at - now
        if not may_probe:
            return PAUSE
        self._probe_at = now + PAUSE
        return 0.0

    def succeeded(self) -> bool:
        """A call got an answer, whatever it says; whether the store is back by that."""
        was_open, self._failures = self.is_open, 0
        return was_open

    def inconclusive(self, now: float) -> None:
        """A call got an answer that says nothing of the store: if it was the one that finds out, the next one may."""
        if self.is_open:
            self._probe_at = now

    def failed(self, now: float) -> bool:
        """A call got none, or one that says that the store cannot answer; whether it is left alone by that."""
        self._failures += 1
        self._probe_at = now + PAUSE
        return self._failures == FAILURES


class RetryBudget:
    """Second attempts are at most a fifth of all calls, but for a small reserve: troubles are not doubled."""

    def __init__(self) -> None:
        self._balance = _RESERVE

    def earn(self) -> None:
        """A call is made."""
        self._balance = min(self._balance + _RATIO, _RESERVE)

    def spend(self) -> bool:
        """Whether there may be a second attempt."""
        if self._balance < 1:
            return False
        self._balance -= 1
        return True
