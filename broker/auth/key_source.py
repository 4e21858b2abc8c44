"""Sources of verification keys: one configured key, or keys that are found by a token's ``kid``."""

from typing import Any, Protocol

from broker.crypto.verification_key import VerificationKey
from broker.errors import UnauthenticatedError

from .signatures import SignatureCheck, SignatureChecks, signature_checks


class UnknownKeyError(UnauthenticatedError):
    """No key has the token's ``kid``. The identity service may have published a new one."""


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


class ConfiguredKey:
    """The ``KeySource`` of one configured key, which verifies every token and ignores its ``kid``.

    ``previous`` verifies tokens too, while a shared secret is being replaced.
    """

    is_loaded = True

    def __init__(self, key: VerificationKey, previous: VerificationKey | None = None) -> None:
        checks = signature_checks(key)
        self._checks = _either(checks, signature_checks(previous)) if previous else checks

    def version(self) -> int:
        """Return 0: a configured key never changes."""
        return 0

    def checks(self, kid: Any) -> SignatureChecks:  # noqa: ARG002  # of the protocol
        """Return the checks of the key."""
        return self._checks

    async def refresh(self) -> bool:
        """Return false: a configured key is not fetched."""
        return False


def _either(first: SignatureChecks, second: SignatureChecks) -> SignatureChecks:
    """Return the checks of two keys: each algorithm accepts the signatures of every key that has it."""

    def both(name: str) -> SignatureCheck:
        one, other = first[name], second[name]
        return lambda message, signature: one(message, signature) or other(message, signature)

    return {**first, **second, **{name: both(name) for name in first.keys() & second.keys()}}
