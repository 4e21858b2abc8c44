"""The rate limit of a user: the cost that requests have for the broker and the store, per minute.

A request costs 1, each further file or key in it 1 more, and each call to the store that it makes 1 more (``Cost``).
Services have no limit. ``RateLimiter`` is the port of what counts: the memory of this process, or Redis.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from broker.core.model import Principal
from broker.core.quota import Quota


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


class RateLimiter(Protocol):
    """Counts what callers spend. A caller is named by ``key``: a subject, or an address."""

    quota: Quota

    async def take(self, key: str, amount: int) -> bool:
        """Take ``amount``, at most a whole quota, from the caller's; return whether its responses shall have fields.

        Raises ``RateLimitedError``, and takes nothing, if less is left.
        """
        ...

    def fields(self, key: str) -> Mapping[str, str]:
        """Return the header fields that state what the caller has left."""
        ...


class SharedCounts(Protocol):
    """Counts that all processes share. ``errors`` is the number of calls that failed."""

    errors: int

    def limiter(self, quota: Quota) -> RateLimiter:
        """Return what counts for a quota."""
        ...

    async def start(self) -> None:
        """Connect in the background."""
        ...

    async def probe(self) -> str:
        """Count once, and return the reason if that fails or is late."""
        ...

    async def server(self) -> str:
        """Return the name and the version of the server."""
        ...

    async def close(self) -> None:
        """End the connections."""
        ...


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The rate limit of users; without a ``limiter`` there is none."""

    limiter: RateLimiter | None

    def spend(self, principal: Principal, amount: int = 1) -> Awaitable[bool]:
        """Take ``amount`` of the user's quota, at most all of it.

        Returns whether the response shall have ``fields``. Raises ``RateLimitedError``, and takes nothing, if less is
        left.
        """
        limiter = self.limiter
        if limiter is None or principal.is_service:
            return _unlimited()
        return limiter.take(principal.subject, min(amount, limiter.quota.per_minute))

    def spend_more(self, principal: Principal, amount: int) -> Awaitable[bool]:
        """Take ``amount`` for a request that took 1 before, at most the rest of a whole quota.

        Raises ``RateLimitedError``.
        """
        limiter = self.limiter
        if limiter is None or principal.is_service:
            return _unlimited()
        rest = min(amount, limiter.quota.per_minute - 1)
        return limiter.take(principal.subject, rest) if rest else _unlimited()

    def fields(self, principal: Principal) -> Mapping[str, str]:
        """Return the header fields for a user whose ``spend`` returned true."""
        return self.limiter.fields(principal.subject) if self.limiter else {}


async def _unlimited() -> bool:
    return False
