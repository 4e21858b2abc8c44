"""Signature checks: a verification key bound to each of its algorithms."""

import hmac
from collections.abc import Callable, Mapping, Sequence

SignatureCheck = Callable[[bytes, bytes], bool]
"""Return whether a signature (second argument) of a message (first argument) verifies by one key and algorithm."""

SignatureChecks = Mapping[str, SignatureCheck]
"""The checks of one key, by the name of the algorithm (``alg``)."""


def hmac_checks(secret: bytes, algorithms: Sequence[str]) -> SignatureChecks:
    """Return a check for each of the HMAC algorithms (RFC 7518, section 3.2)."""
    return {name: _hmac_check(secret, f"sha{name.removeprefix('HS')}") for name in algorithms}


def _hmac_check(secret: bytes, digest: str) -> SignatureCheck:
    return lambda message, signature: hmac.compare_digest(hmac.digest(secret, message, digest), signature)
