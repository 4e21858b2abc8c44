"""A circuit breaker and a retry budget, which limit the calls to a failing store.

Both receive the time from their caller and send nothing. Each store has its own.
"""

from typing import Final

FAILURES: Final = 5
"""Consecutive failed calls after which the circuit may open."""

SPAN: Final = 1.0
"""Seconds over which these calls must have failed: an outage of half a second does not open the circuit."""

PROBE_PAUSE: Final = 0.25
"""Seconds from the opening of the circuit to the first probe. Each further pause is twice as long."""

PROBE_PAUSE_MAX: Final = 5.0
"""The longest pause between two probes, in seconds."""

_RETRIES_PER_CALL: Final = 0.2
"""Retries that each call adds to the budget."""

_BUDGET_MAX: Final = 10.0
"""Retries that the budget holds at most, and at the start."""


class CircuitBreaker:
    """A circuit that opens when ``FAILURES`` consecutive calls failed over ``SPAN`` seconds.

    While it is open, one call after each pause is let through as a probe. The circuit closes when a probe succeeds.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._failing_since = 0.0
        self._pause = PROBE_PAUSE
        self._probe_at = 0.0
        self.is_open = False

    def wait(self, now: float, *, may_probe: bool) -> float:
        """Return the seconds for which to refuse a call, 0.0 if it may be sent.

        ``may_probe``: the call may be the probe, because its deadline is short.
        """
        if not self.is_open:
            return 0.0
        if now < self._probe_at:
            return self._probe_at - now
        if not may_probe:
            return self._pause
        self._pause = min(2 * self._pause, PROBE_PAUSE_MAX)
        self._probe_at = now + self._pause
        return 0.0

    def record_success(self) -> bool:
        """Record a response of a healthy store; return whether it closed the circuit."""
        was_open, self.is_open = self.is_open, False
        self._failures, self._pause = 0, PROBE_PAUSE
        return was_open

    def record_inconclusive(self, now: float) -> None:
        """Record a response that does not show the health of the store. After such a probe the next call is a probe."""
        if self.is_open:
            self._probe_at = now

    def record_failure(self, now: float) -> bool:
        """Record a failure of the store, or a missing response; return whether it opened the circuit."""
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
    """A limit of retries to a fifth of all calls and a small reserve, so that retries do not double an overload."""

    def __init__(self) -> None:
        self._balance = _BUDGET_MAX

    def earn(self) -> None:
        """Record a call."""
        self._balance = min(self._balance + _RETRIES_PER_CALL, _BUDGET_MAX)

    def spend(self) -> bool:
        """Record a retry if one is allowed; return whether it is."""
        if self._balance < 1:
            return False
        self._balance -= 1
        return True
