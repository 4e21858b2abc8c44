"""A key that verifies bearer tokens, with its algorithms (RFC 7518)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""The algorithms of an RSA key."""

PUBLIC_ALGORITHMS: Final = (*RSA_ALGORITHMS, "ES256", "ES384", "ES512", "EdDSA")
"""All algorithms that a public key may verify."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with the algorithms that it verifies, all of one family (RFC 8725, section 3.1); a token cannot add any.

    ``material`` is a shared secret or a public key.
    """

    material: "bytes | PublicKey" = field(repr=False)
    algorithms: tuple[str, ...]


def require(is_kept: bool, rule: str) -> None:
    """Raise ``ValueError`` with a rule that a key breaks."""
    if not is_kept:
        raise ValueError(rule)


def choose(wanted: Sequence[object], family: tuple[str, ...]) -> tuple[str, ...]:
    """Return the wanted algorithms of ``family``, all of them if none is named.

    Raises ``ValueError`` if another one is wanted.
    """
    require(all(name in family for name in wanted), f"verifies no other algorithms than {', '.join(family)}")
    return tuple(name for name in family if name in wanted) or family
