"""Sources of verification keys: one configured key, or keys that are found by a token's ``kid``."""

from typing import Any, Final, Protocol, TypeGuard

from broker.crypto.verification_key import VerificationKey
from broker.errors import UnauthenticatedError

from .signatures import SignatureChecks, hmac_checks

KID_MAX: Final = 256
"""Maximum length of a ``kid`` in characters."""


class UnknownKeyError(UnauthenticatedError):
    """No key has the token's ``kid``. The identity service may have published a new one."""


def is_valid_kid(kid: object) -> TypeGuard[str]:
    """Return whether ``kid`` is a text that a token may have: printable, 1 to ``KID_MAX`` characters."""
    return isinstance(kid, str) and 0 < len(kid) <= KID_MAX and kid.isprintable()


class KeySource(Protocol):
    """A source of the keys that verify tokens."""

    @property
    def is_loaded(self) -> bool:
        """Whether a key is loaded."""

    def version(self) -> int:
        """Return a number that changes with the keys. This also starts a refresh of old keys in the background."""

    def checks(self, kid: Any) -> SignatureChecks:
        """Return the checks of the loaded key that a token names, without I/O.

        Raises ``UnknownKeyError``, or ``IdentityUnavailableError`` if no keys are loaded.
        """

    async def refresh(self) -> bool:
        """Fetch the keys, and return whether that succeeded. No fetch starts soon after another."""


def signature_checks(key: VerificationKey) -> SignatureChecks:
    """Return a check for each algorithm of the key."""
    if isinstance(key.material, bytes):
        return hmac_checks(key.material, key.algorithms)
    from .public_key_signatures import public_key_checks  # noqa: PLC0415  its libraries take a tenth of the start

    return public_key_checks(key)


class ConfiguredKey:
    """The ``KeySource`` of one configured key, which verifies every token and ignores its ``kid``."""

    is_loaded = True

    def __init__(self, key: VerificationKey) -> None:
        self._checks = signature_checks(key)

    def version(self) -> int:
        """Return 0: a configured key never changes."""
        return 0

    def checks(self, kid: Any) -> SignatureChecks:  # noqa: ARG002  # of the protocol
        """Return the checks of the key."""
        return self._checks

    async def refresh(self) -> bool:
        """Return false: a configured key is not fetched."""
        return False
