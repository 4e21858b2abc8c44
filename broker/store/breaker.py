"""A circuit breaker and a retry budget: how often a store that fails is called.

Both are told the time and know of no store; one of each belongs to one store.
"""

from typing import Final

FAILURES: Final = 5
"""Calls in a row that failed, after which the circuit opens."""

PAUSE: Final = 5.0
"""Seconds without a call after that, and between two probes."""

_RATIO: Final = 0.2
_RESERVE: Final = 10.0


class CircuitBreaker:
    """Opens after ``FAILURES`` in a row. Then one call in ``PAUSE`` seconds, the probe, passes, until one succeeds."""

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether calls are refused."""
        return self._failures >= FAILURES

    def wait(self, now: float, *, may_probe: bool) -> float:
        """Seconds for which to refuse a call; 0.0 for one that may be made. Only one that ends soon ``may_probe``."""
        if not self.is_open:
            return 0.0
        if now < self._probe_at:
            return self._probe_at - now
        if not may_probe:
            return PAUSE
        self._probe_at = now + PAUSE
        return 0.0

    def succeeded(self) -> bool:
        """Record an answer; whether it closed the circuit."""
        was_open, self._failures = self.is_open, 0
        return was_open

    def inconclusive(self, now: float) -> None:
        """Record an answer that says nothing of the store. If it was the probe, the next call is another."""
        if self.is_open:
            self._probe_at = now

    def failed(self, now: float) -> bool:
        """Record a failure of the store, or no answer; whether it opened the circuit."""
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
