"""The rules for bearer tokens, and the location of the keys that verify them."""

from dataclasses import dataclass

from broker.core.upload_rules import DAY
from broker.crypto.verification_key import VerificationKey


@dataclass(frozen=True, slots=True)
class JwksLocation:
    """The URL of the identity service's JWK Set.

    ``algorithms`` narrows the accepted algorithms; empty accepts all that a key allows. ``max_stale`` is the number of
    seconds for which loaded keys stay valid while they cannot be refreshed.
    """

    url: str
    algorithms: tuple[str, ...] = ()
    max_stale: int = DAY


@dataclass(frozen=True, slots=True)
class TokenRules:
    """The requirements on a token; ``None`` leaves a claim or header parameter unchecked.

    ``previous_key`` verifies tokens too, while a shared secret is being replaced. ``scope_claim`` is the claim with the
    scopes, or a path of names with dots; ``None`` reads ``scope`` and ``scp``. ``leeway`` is the tolerated clock
    difference, ``max_lifetime`` the longest time until ``exp``, both in seconds.
    """

    key: VerificationKey | JwksLocation
    previous_key: VerificationKey | None = None
    issuer: str | None = None
    audience: str | None = None
    subject_claim: str = "sub"
    service_scope: str = "broker:service"
    scope_claim: str | None = None
    typ: str | None = None
    leeway: int = 30
    max_lifetime: int = 31 * DAY
