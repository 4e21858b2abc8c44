"""How much one user may ask for: so many files, keys and uploads a minute, and no more than that at once.

A service may ask for anything. Each process counts for itself.
"""

import math
import time
from collections.abc import Callable
from typing import Final

from broker.core.model import Principal
from broker.errors import RateLimitedError

_MINUTE: Final = 60.0
_SUBJECTS: Final = 100_000


class Allowance:
    """A bucket of ``per_minute`` for each user, filled evenly; 0 sets no limit.

    A bucket is the instant at which it will be full again (the generic cell rate algorithm, ITU-T I.371).
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = _MINUTE / per_minute if per_minute else 0.0
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def spend(self, principal: Principal, amount: int = 1) -> None:
        """Take ``amount``, or all there can ever be.

        Raises ``RateLimitedError`` when there is not as much, and takes nothing.
        """
        if principal.is_service or not self._interval:
            return
        now = self._clock()
        cost = min(amount * self._interval, _MINUTE)
        full_at = max(self._full_at.get(principal.subject, now), now) + cost
        if full_at - now > _MINUTE:
            raise RateLimitedError(math.ceil(full_at - now - _MINUTE))
        if len(self._full_at) >= _SUBJECTS:
            self._forget(now)
        self._full_at[principal.subject] = full_at

    def _forget(self, now: float) -> None:
        """Those whose buckets are full again; when there are none, all: memory is bounded before all else."""
        self._full_at = {subject: full_at for subject, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) >= _SUBJECTS:
            self._full_at.clear()
