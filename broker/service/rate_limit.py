"""The rate limit of a user: the cost that requests have for the broker and the store, per minute.

A request costs 1, each further file or key in it 1 more, and each call to the store that it makes 1 more (``Cost``).
Services have no limit. Each process counts on its own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from broker.core.model import Principal
from broker.errors import RateLimitedError

from .observer import LimitedBy, Observer

_MINUTE: Final = 60.0
"""Seconds in which a full bucket is filled."""

_ROUNDING: Final = 1e-6
"""Seconds that floating-point arithmetic may be off."""

_SUBJECTS: Final = 100_000
"""Maximum number of subjects in memory."""


class Cost(IntEnum):
    """Calls to the store that one item of a request makes at most."""

    CREATE_IN_PARTS = 1
    """CreateMultipartUpload."""

    RETRY_CREATE_IN_PARTS = 3
    """ListMultipartUploads, HeadObject and CreateMultipartUpload."""

    UPLOAD_STATUS = 3
    """Two HeadObject and one ListParts."""

    CONFIRM = 5
    """Two HeadObject, two GetObject, CopyObject. Parts and ranges add calls that are not counted."""

    PROXIED_UPLOAD = 3
    """CreateMultipartUpload, UploadPart, CompleteMultipartUpload. Further parts are not counted."""

    DELETE = 6
    """One HeadObject or two, PutObject, two ListMultipartUploads, DeleteObject. Aborts add calls that are not counted.
    """

    READ_OBJECT = 1
    """HeadObject; also for each link where access depends on the owner."""


@dataclass(slots=True)
class RateLimit:
    """A bucket of ``per_minute`` for each user, filled evenly; 0 sets no limit.

    A bucket is stored as the instant at which it is full again (the generic cell rate algorithm, ITU-T I.371).
    ``clock`` returns seconds that never go back.
    """

    per_minute: int
    clock: Callable[[], float] = time.monotonic
    observer: Observer | None = None
    _interval: float = field(init=False)
    _full_at: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._interval = _MINUTE / self.per_minute if self.per_minute else 0.0

    def spend(self, principal: Principal, amount: int = 1) -> None:
        """Take ``amount`` from the user's bucket, at most a full bucket.

        Raises ``RateLimitedError``, and leaves the bucket as it is, when it has less.
        """
        self._take(principal, min(amount * self._interval, _MINUTE))

    def spend_more(self, principal: Principal, amount: int) -> None:
        """Take ``amount`` for a request that took 1 before, at most the rest of a full bucket.

        Raises ``RateLimitedError``.
        """
        self._take(principal, min(amount * self._interval, _MINUTE - self._interval))

    def _take(self, principal: Principal, cost: float) -> None:
        if principal.is_service or not self._interval:
            return
        now = self.clock()
        full_at = max(self._full_at.get(principal.subject, now), now) + cost
        if full_at - now > _MINUTE + _ROUNDING:
            if self.observer:
                self.observer.rate_limited(LimitedBy.PRINCIPAL)
            raise RateLimitedError(math.ceil(full_at - now - _MINUTE))
        if len(self._full_at) >= _SUBJECTS:
            self._remove_full_buckets(now)
        self._full_at[principal.subject] = full_at

    def _remove_full_buckets(self, now: float) -> None:
        """Remove the buckets that are full again, or all buckets if that is not enough: memory must stay bounded."""
        self._full_at = {subject: full_at for subject, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) >= _SUBJECTS:
            self._full_at.clear()
