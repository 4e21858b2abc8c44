"""The JWK Set of an identity service (RFC 7517 section 5), and the usable keys in it.

Unusable keys are ignored and do not affect the others. A key is unusable if it is secret, weak, for another use or of
an unknown type, or if another key has its ``kid``. A set without a usable key is an error.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from broker.core.strict_json import parse_object
from broker.crypto.verification_key import VerificationKey, jwk_key

JWKS_BYTES_MAX: Final = 256 * 1024
"""Maximum size of a JWK Set in bytes."""

JWKS_KEYS_MAX: Final = 100
"""Maximum number of keys in a JWK Set."""


def parse(document: bytes, algorithms: Sequence[str] = ()) -> dict[str, VerificationKey]:
    """Return the usable keys by ``kid``, narrowed to ``algorithms`` if any are given; raise ``ValueError``."""
    if len(document) > JWKS_BYTES_MAX:
        raise ValueError(f"the JWK Set has more than {JWKS_BYTES_MAX} bytes")
    listed = parse_object(document).get("keys")
    if not isinstance(listed, list) or len(listed) > JWKS_KEYS_MAX:
        raise ValueError(f"the JWK Set does not have a list of at most {JWKS_KEYS_MAX} keys")
    named = [jwk for jwk in listed if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str)]
    uses = Counter(jwk["kid"] for jwk in named)
    candidates = {jwk["kid"]: _usable(jwk, algorithms) for jwk in named if uses[jwk["kid"]] == 1}
    keys = {kid: key for kid, key in candidates.items() if key}
    if not keys:
        raise ValueError("the JWK Set has no usable key")
    return keys


def _usable(jwk: Mapping[str, Any], algorithms: Sequence[str]) -> VerificationKey | None:
    try:
        key = jwk_key(jwk)
    except ValueError:
        return None
    allowed = tuple(name for name in key.algorithms if not algorithms or name in algorithms)
    return replace(key, algorithms=allowed) if allowed else None
