"""The rate limit of a user: what calls cost the broker and the store, a minute, and no more than that at once.

A request costs 1, each further file or key in it 1 more, and each call of the store that it makes 1 more (``Cost``). A
service has no limit. Each process counts for itself.
"""

import math
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from broker.core.model import Principal
from broker.errors import RateLimitedError

_MINUTE: Final = 60.0
_ROUNDING: Final = 1e-6  # seconds
_SUBJECTS: Final = 100_000


class Cost(IntEnum):
    """Calls of the store, at most, that one item of a request makes."""

    CREATE_IN_PARTS = 1
    """CreateMultipartUpload."""

    RETRY_CREATE_IN_PARTS = 3
    """ListMultipartUploads, HeadObject and CreateMultipartUpload."""

    LOOK_AT_UPLOAD = 3
    """Two HeadObject and one ListParts."""

    CONFIRM = 4
    """HeadObject, GetObject, HeadObject for a checksum, CopyObject. Parts and ranges add to it what size they have."""

    DELETE = 6
    """One HeadObject or two, PutObject, two ListMultipartUploads, DeleteObject. What the lists find adds to it."""

    LOOK_AT_OBJECT = 1
    """HeadObject; so does each link where access depends on the owner."""


class RateLimit:
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
        self._take(principal, min(amount * self._interval, _MINUTE))

    def spend_more(self, principal: Principal, amount: int) -> None:
        """Take ``amount`` for a request that took 1 before, or all there can ever be beside that.

        Raises ``RateLimitedError``.
        """
        self._take(principal, min(amount * self._interval, _MINUTE - self._interval))

    def _take(self, principal: Principal, cost: float) -> None:
        if principal.is_service or not self._interval:
            return
        now = self._clock()
        full_at = max(self._full_at.get(principal.subject, now), now) + cost
        if full_at - now > _MINUTE + _ROUNDING:
            raise RateLimitedError(math.ceil(full_at - now - _MINUTE))
        if len(self._full_at) >= _SUBJECTS:
            self._forget(now)
        self._full_at[principal.subject] = full_at

    def _forget(self, now: float) -> None:
        """Those whose buckets are full again; when there are none, all: memory is bounded before all else."""
        self._full_at = {subject: full_at for subject, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) >= _SUBJECTS:
            self._full_at.clear()
