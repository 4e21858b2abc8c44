"""A cache of verified tokens, as clients send the same token with every request.

Rules of this module
- The cache key is the digest of the whole Authorization field. So the same claims with another signature are another
  entry, and no token is kept in memory.
- An entry is valid for ``TOKEN_CACHE_LIFETIME`` seconds, and not after the token's expiry or a change of the keys.
- Only valid tokens are cached, at most ``TOKEN_CACHE_CAPACITY``.
"""

import hashlib
from typing import Final, NamedTuple

from broker.core.model import Principal

TOKEN_CACHE_LIFETIME: Final = 60
"""Maximum age of an entry in seconds."""

TOKEN_CACHE_CAPACITY: Final = 4096
"""Maximum number of tokens in the cache. The oldest entry is evicted."""


class _Entry(NamedTuple):
    principal: Principal
    verified_at: int
    expires_at: int


class TokenCache:
    """The principals of verified tokens."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._keys_version = 0

    def get(self, digest: bytes, *, now: int, keys_version: int) -> Principal | None:
        """Return the principal of an Authorization field, if its token was verified recently by the same keys."""
        if keys_version != self._keys_version:
            self._entries.clear()
            self._keys_version = keys_version
        found = self._entries.get(digest)
        return found.principal if found and found.verified_at <= now < found.expires_at else None

    def put(self, digest: bytes, principal: Principal, *, now: int, expires_at: int) -> None:
        """Add an Authorization field whose token was verified at ``now``."""
        if len(self._entries) >= TOKEN_CACHE_CAPACITY:
            del self._entries[next(iter(self._entries))]  # the oldest: a dict keeps the order of insertion
        self._entries[digest] = _Entry(principal, now, min(expires_at, now + TOKEN_CACHE_LIFETIME))


def digest_of(authorization: str) -> bytes:
    """Return the key of an Authorization field in the cache."""
    return hashlib.sha256(authorization.encode(errors="replace")).digest()
