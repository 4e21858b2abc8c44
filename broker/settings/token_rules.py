"""The rules for bearer tokens, and where the keys that verify them are found."""

from dataclasses import dataclass

from broker.crypto.verification_key import VerificationKey


@dataclass(frozen=True, slots=True)
class JwksLocation:
    """The URL of the identity service's JWK Set.

    ``algorithms`` narrows the accepted algorithms; empty accepts all that a key allows. ``max_stale`` is the number of
    seconds for which loaded keys stay valid while they cannot be refreshed.
    """

    url: str
    algorithms: tuple[str, ...] = ()
    max_stale: int = 86_400


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must be; ``None`` leaves a claim or header parameter unchecked.

    ``leeway`` is the tolerated clock difference, ``max_lifetime`` the longest time until ``exp``, both in seconds.
    """

    key: VerificationKey | JwksLocation
    issuer: str | None = None
    audience: str | None = None
    subject_claim: str = "sub"
    service_scope: str = "broker:service"
    typ: str | None = None
    leeway: int = 30
    max_lifetime: int = 31 * 86_400
