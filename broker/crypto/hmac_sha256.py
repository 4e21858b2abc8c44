"""HMAC-SHA-256 (RFC 2104) of many messages by one key.

``hmac.HMAC`` wraps each step in Python, and OpenSSL allocates a context for each copy. Copies of two SHA-256 states
take half of its time. A create needs two HMACs, for a URL and for an upload id.
"""

import hashlib
from typing import Final

_BLOCK: Final = 64  # bytes of SHA-256
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class HmacSha256:
    """The HMAC of a key. ``prefix`` is the start of every message; it is hashed once, as the two padded keys are."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, prefix: bytes = b"") -> None:
        block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER_PAD) + prefix)
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))

    def starting(self, prefix: bytes) -> "HmacSha256":
        """Return the HMAC of the same key with this prefix behind its own."""
        longer = object.__new__(HmacSha256)
        longer._inner, longer._outer = self._inner.copy(), self._outer
        longer._inner.update(prefix)
        return longer

    def digest(self, rest: bytes) -> bytes:
        """Return the HMAC of the prefix and ``rest``."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.digest()

    def hexdigest(self, rest: bytes) -> str:
        """Return the HMAC of the prefix and ``rest`` in hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.hexdigest()
