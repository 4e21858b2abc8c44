"""The keys that verify tokens: one of three settings, and the former secret during a rotation."""

from collections.abc import Sequence

from broker.crypto.shared_secret import secret_key
from broker.crypto.verification_key import PUBLIC_ALGORITHMS, VerificationKey

from .endpoint import jwks_url
from .environment import Environment
from .token_rules import JwksLocation


def verification_key(env: Environment, algorithms: tuple[str, ...]) -> VerificationKey | JwksLocation | None:
    """Return the one key of the deployment, or the location of its keys; record faults.

    ``algorithms`` are those of ``JWT_ALGORITHMS``, which narrow what the key allows.
    """
    known_faults = len(env.faults)
    secret, public, jwks = env.secret("JWT_SECRET"), env.secret("JWT_PUBLIC_KEY"), env.text("JWT_JWKS_URL")
    max_stale = env.quantity("JWT_JWKS_MAX_STALE")
    given = [
        name for name, value in (("JWT_SECRET", secret), ("JWT_PUBLIC_KEY", public), ("JWT_JWKS_URL", jwks)) if value
    ]
    if len(given) > 1:
        env.fault(given[0], f"and {given[1]} must not both be set: a deployment has one family of keys")
        return None
    found = (
        env.checked("JWT_SECRET", secret, lambda text: secret_key(text, algorithms))
        or env.checked("JWT_PUBLIC_KEY", public, lambda text: _public_key(text, algorithms))
        or env.checked("JWT_JWKS_URL", jwks, lambda text: JwksLocation(jwks_url(text), algorithms, max_stale))
    )
    if jwks and not set(algorithms) <= set(PUBLIC_ALGORITHMS):
        env.fault("JWT_ALGORITHMS", f"must be a list of: {', '.join(PUBLIC_ALGORITHMS)}")
    if not found and len(env.faults) == known_faults:
        env.fault("JWT_SECRET", "or JWT_PUBLIC_KEY or JWT_JWKS_URL must be set, to verify tokens")
    return found


def previous_key(
    env: Environment, key: VerificationKey | JwksLocation | None, algorithms: tuple[str, ...]
) -> VerificationKey | None:
    """Return the key of the shared secret that ``key`` replaces, if there is one."""
    name = "JWT_SECRET_PREVIOUS"
    text = env.secret(name)
    if text and key and not (isinstance(key, VerificationKey) and isinstance(key.material, bytes)):
        env.fault(name, "must be set together with JWT_SECRET only")
        return None
    return env.checked(name, text, lambda text: secret_key(text, algorithms))


def _public_key(text: str, algorithms: Sequence[str]) -> VerificationKey:
    from broker.crypto.public_key import public_key  # noqa: PLC0415  its libraries take a tenth of the start

    return public_key(text, algorithms)
