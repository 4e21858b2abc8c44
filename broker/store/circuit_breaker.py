"""A circuit breaker and a retry budget: how often a store that fails is called.

Both are told the time and know of no store; one of each belongs to one store.
"""

from typing import Final

FAILURES: Final = 5
"""Calls in a row that failed, after which the circuit may open."""

SPAN: Final = 1.0
"""Seconds over which they must have failed: a store that is away for half a second is not one to stay away from."""

PAUSE: Final = 0.25
"""Seconds from the opening of the circuit to the first probe. The pause after each probe is twice the one before."""

PAUSE_MAX: Final = 5.0
"""Seconds between two probes, at most."""

_RATIO: Final = 0.2
_RESERVE: Final = 10.0


class CircuitBreaker:
    """Opens when ``FAILURES`` calls in a row failed over ``SPAN`` seconds. Then one call after each pause passes.

    That call is the probe; the circuit closes when one succeeds.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._failing_since = 0.0
        self._pause = PAUSE
        self._probe_at = 0.0
        self.is_open = False

    def wait(self, now: float, *, may_probe: bool) -> float:
        """Seconds for which to refuse a call; 0.0 for one that may be made. Only one that ends soon ``may_probe``."""
        if not self.is_open:
            return 0.0
        if now < self._probe_at:
            return self._probe_at - now
        if not may_probe:
            return self._pause
        self._pause = min(2 * self._pause, PAUSE_MAX)
        self._probe_at = now + self._pause
        return 0.0

    def succeeded(self) -> bool:
        """Record an answer; whether it closed the circuit."""
        was_open, self.is_open = self.is_open, False
        self._failures, self._pause = 0, PAUSE
        return was_open

    def inconclusive(self, now: float) -> None:
        """Record an answer that says nothing of the store. If it was the probe, the next call is another."""
        if self.is_open:
            self._probe_at = now

    def failed(self, now: float) -> bool:
        """Record a failure of the store, or no answer; whether it opened the circuit."""
        if self.is_open:
            return False
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        if self._failures >= FAILURES and now - self._failing_since >= SPAN:
            self.is_open = True
            self._probe_at = now + self._pause
        return self.is_open


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
