"""Tokens that were verified a moment ago: a client sends the same one with every request.

Rules of this module
- A token is known by the digest of all of it: the same claims under another signature are another token, and no token
  is kept in memory.
- It is known for ``LIFETIME`` at most, never past its own expiry, and no longer than the keys it was verified with.
- Only good tokens are kept, and no more than ``CAPACITY``.
"""

import hashlib
from typing import Final, NamedTuple

from broker.core.model import Principal

LIFETIME: Final = 60
"""Seconds."""

CAPACITY: Final = 4096
"""Tokens."""


class _Verified(NamedTuple):
    principal: Principal
    at: int
    until: int


class TokenCache:
    """The principals of good tokens."""

    def __init__(self) -> None:
        self._known: dict[bytes, _Verified] = {}
        self._keys_version = 0

    def find(self, authorization: str, *, now: int, keys_version: int) -> Principal | None:
        """Whose this Authorization field is, if it was good a moment ago and by the same keys."""
        if keys_version != self._keys_version:
            self._known.clear()
            self._keys_version = keys_version
        found = self._known.get(_digest(authorization))
        return found.principal if found and found.at <= now < found.until else None

    def keep(self, authorization: str, principal: Principal, *, now: int, until: int) -> None:
        """Know this field, which was just verified and expires at ``until``."""
        if len(self._known) >= CAPACITY:
            del self._known[next(iter(self._known))]  # the oldest
        self._known[_digest(authorization)] = _Verified(principal, now, min(until, now + LIFETIME))


def _digest(authorization: str) -> bytes:
    return hashlib.sha256(authorization.encode(errors="replace")).digest()
