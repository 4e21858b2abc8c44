"""A set of keys as an identity service publishes it (RFC 7517, section 5), and what of it may be used.

One bad key spoils no good one: what is secret, weak, for another use, or not known here is left out. A name that two
keys have is nobody's. A set of which nothing is left is no set.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from broker.core.strict_json import parse_object
from broker.crypto.verification_key import VerificationKey, jwk_key

BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 100


def parse(document: bytes, algorithms: Sequence[str] = ()) -> dict[str, VerificationKey]:
    """The usable keys by their ``kid``, narrowed to ``algorithms`` if there are any; raises ``ValueError``."""
    if len(document) > BYTES_MAX:
        raise ValueError(f"has more than {BYTES_MAX} bytes")
    listed = parse_object(document).get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise ValueError(f"is no list of at most {KEYS_MAX} keys")
    named = [jwk for jwk in listed if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str)]
    times = Counter(jwk["kid"] for jwk in named)
    judged = {jwk["kid"]: _usable(jwk, algorithms) for jwk in named if times[jwk["kid"]] == 1}
    keys = {kid: key for kid, key in judged.items() if key}
    if not keys:
        raise ValueError("has no usable key")
    return keys


def _usable(jwk: Mapping[str, Any], algorithms: Sequence[str]) -> VerificationKey | None:
    try:
        key = jwk_key(jwk)
    except ValueError:
        return None
    kept = tuple(name for name in key.algorithms if not algorithms or name in algorithms)
    return replace(key, algorithms=kept) if kept else None
