"""Checks of the keys that verify tokens, and of one token."""

from typing import Final

from broker.auth import jwk_set
from broker.auth.bearer import TokenVerifier
from broker.auth.jwks_client import FETCH_ERRORS, NO_USABLE_KEY, fetch, reason_of
from broker.errors import BrokerError
from broker.settings import JwksLocation, TokenRules

from .findings import Finding, Hint, failed, passed, warned

_NOT_FOR_SIGNATURES: Final = (
    "must have sig as its use",
    "must have an alg among",
    "must have verify among its key_ops",
)
"""Beginnings of the rules that keys for encryption break, which are published beside the others."""


async def check_keys(rules: TokenRules) -> list[Finding]:
    """Return the findings about the keys of the deployment."""
    if not isinstance(rules.key, JwksLocation):
        kind = "JWT_SECRET" if isinstance(rules.key.material, bytes) else "JWT_PUBLIC_KEY"
        kind += " and JWT_SECRET_PREVIOUS" if rules.previous_key else ""
        return [passed("keys", f"tokens are verified by {kind} ({', '.join(rules.key.algorithms)})")]
    try:
        keys = jwk_set.parse(await fetch(rules.key.url), rules.key.algorithms)
    except FETCH_ERRORS as error:
        text = f"the keys at JWT_JWKS_URL were not read: {reason_of(error)}"
        return [failed("keys-unavailable", text, "Set the address that the identity service publishes.", Hint.KEYS)]
    found = [_skipped(key) for key in keys.skipped]
    if not keys.is_usable:
        remedy = "Publish a key that signs tokens, or correct JWT_JWKS_URL and JWT_ALGORITHMS."
        return [*found, failed("keys-unusable", NO_USABLE_KEY, remedy, Hint.KEYS)]
    return [*found, passed("keys", f"{keys.key_count} of the keys at JWT_JWKS_URL can verify tokens")]


def _skipped(key: jwk_set.SkippedKey) -> Finding:
    text = f"key {key.index} of JWT_JWKS_URL (kid {key.kid}) is not used: it {key.rule}"
    if key.rule.startswith(_NOT_FOR_SIGNATURES):
        return passed("key-not-for-signatures", text)
    return warned(
        "key-skipped", text, "Tokens signed by it are refused. Correct it at the identity service.", Hint.KEYS
    )


async def check_token(verifier: TokenVerifier, token: str, now: int) -> list[Finding]:
    """Return whether the deployment accepts a token, and the reason if it does not."""
    value = token if token.lower().startswith("bearer ") else f"Bearer {token}"
    try:
        principal = await verifier.authenticate([value], now=now)
    except BrokerError as error:
        text = f"the token is refused: {error.reason or error.detail}"
        return [failed("token-refused", text, "See the row of this reason in the table.", Hint.BEARER)]
    kind = "a service" if principal.is_service else "a user"
    return [passed("token", f"the token is accepted: {kind}, subject {principal.subject}")]
