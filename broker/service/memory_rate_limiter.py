"""A rate limiter in the memory of this process. It never suspends: what it awaits is done."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.core.quota import MINUTE, Quota
from broker.errors import RateLimitedError

_ROUNDING: Final = 1e-6
"""Seconds that floating-point arithmetic may be off."""

_KEYS: Final = 100_000
"""Maximum number of callers in memory."""

_HALF: Final = MINUTE / 2


@dataclass(slots=True)
class MemoryRateLimiter:
    """A bucket of the quota for each caller, filled evenly.

    A bucket is stored as the instant at which it is full again (the generic cell rate algorithm, ITU-T I.371).
    ``clock`` returns seconds that never go back.
    """

    quota: Quota
    clock: Callable[[], float] = time.monotonic
    _interval: float = field(init=False)
    _full_at: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._interval = MINUTE / self.quota.per_minute

    async def take(self, key: str, amount: int) -> bool:
        """Take ``amount`` from the bucket; return whether more than half of it is spent.

        Raises ``RateLimitedError``, and leaves the bucket as it is, when it has less.
        """
        now = self.clock()
        full_at = max(self._full_at.get(key, now), now) + amount * self._interval
        if full_at - now > MINUTE + _ROUNDING:
            raise self._refusal(key, math.ceil(full_at - now - MINUTE))
        if len(self._full_at) >= _KEYS:
            self._remove_full_buckets(now)
        self._full_at[key] = full_at
        return full_at - now > _HALF

    def record(self, key: str, amount: int) -> None:
        """Take ``amount``, or what the bucket has: the cost was counted elsewhere."""
        now = self.clock()
        if len(self._full_at) >= _KEYS:
            self._remove_full_buckets(now)
        self._full_at[key] = min(max(self._full_at.get(key, now), now) + amount * self._interval, now + MINUTE)

    def fields(self, key: str) -> Mapping[str, str]:
        """Return the header fields, with the seconds until the bucket is full again."""
        return self.quota.fields(self._remaining(key), math.ceil(self._missing(key)))

    def _refusal(self, key: str, retry_after: int) -> RateLimitedError:
        fields = self.quota.fields(self._remaining(key), retry_after)
        return RateLimitedError(retry_after, partition=self.quota.partition, fields=fields)

    def _remaining(self, key: str) -> int:
        return max(0, int((MINUTE - self._missing(key) + _ROUNDING) / self._interval))

    def _missing(self, key: str) -> float:
        """Return the seconds until the bucket is full again."""
        now = self.clock()
        return max(0.0, self._full_at.get(key, now) - now)

    def _remove_full_buckets(self, now: float) -> None:
        """Remove the buckets that are full again, or all buckets if that is not enough: memory must stay bounded."""
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) >= _KEYS:
            self._full_at.clear()
