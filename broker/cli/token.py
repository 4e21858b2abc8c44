"""``broker token``: mint a development token for this deployment with its ``JWT_SECRET``."""

import time
from pathlib import Path
from typing import Any, Final

import jwt

from broker import settings
from broker.auth.bearer import TokenVerifier
from broker.errors import UnauthenticatedError
from broker.server.exits import Exit, StartError
from broker.settings import JwksLocation, TokenRules

from .env_file import load_env_file

TOKEN_LIFETIME: Final = 12 * 3600
"""Seconds for which a development token is valid by default."""


def run(subject: str, lifetime: int | None, env_file: Path | None, *, is_service: bool) -> int:
    """Print a token that the broker accepts, and return the exit status; raise ``StartError`` or ``SettingsError``."""
    load_env_file(env_file)
    rules = settings.from_environment().tokens
    token = mint(rules, subject, lifetime or TOKEN_LIFETIME, is_service=is_service)
    try:
        TokenVerifier(rules).verify([f"Bearer {token}"], now=int(time.time()))
    except UnauthenticatedError as error:
        raise StartError(f"the broker would refuse this token: {error.reason}. Choose another --subject.") from None
    print(token)
    return Exit.STOPPED


def mint(rules: TokenRules, subject: str, lifetime: int = TOKEN_LIFETIME, *, is_service: bool = False) -> str:
    """Return a token for ``subject`` that ``rules`` accept for ``lifetime`` seconds.

    Raises ``StartError`` if the deployment verifies tokens with public keys, or if the lifetime is too long.
    """
    if isinstance(rules.key, JwksLocation) or not isinstance(rules.key.material, bytes):
        raise StartError("JWT_SECRET does not verify this deployment's tokens. Request one from its identity service.")
    if lifetime > rules.max_lifetime:
        raise StartError(f"--lifetime must be at most {rules.max_lifetime} seconds.")
    now = int(time.time())
    claims: dict[str, Any] = {rules.subject_claim: subject, "iat": now, "exp": now + lifetime}
    if rules.issuer:
        claims["iss"] = rules.issuer
    if rules.audience:
        claims["aud"] = rules.audience
    if is_service:
        claims[rules.scope_claim or "scope"] = rules.service_scope
    headers = {"typ": rules.typ} if rules.typ else None
    return jwt.encode(claims, rules.key.material, algorithm=rules.key.algorithms[0], headers=headers)
