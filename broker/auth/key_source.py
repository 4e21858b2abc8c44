"""Where a verifier finds the key of a token: the configured one, or the one that the token's ``kid`` names."""

from typing import Any, Protocol

from broker.crypto.verification_key import VerificationKey
from broker.errors import UnauthenticatedError

from .signatures import SignatureChecks, signature_checks


class UnknownKeyError(UnauthenticatedError):
    """No key has the token's ``kid``; the identity service may have a new one."""


class KeySource(Protocol):
    """KeySource that verify tokens."""

    @property
    def is_loaded(self) -> bool:
        """Whether there is any key."""

    def version(self) -> int:
        """A number that changes whenever the keys do. KeySource that have grown old are asked for in the background."""

    def checks(self, kid: Any) -> SignatureChecks:
        """The checks of the key that a token names; asks nobody.

        Raises ``UnknownKeyError``, or ``IdentityUnavailableError`` when there are no keys at all.
        """

    async def refresh(self) -> bool:
        """Ask for new keys; whether there are any. May answer at once that it is too soon to ask again."""


class ConfiguredKey:
    """The one key of a deployment that has one, whatever a token names."""

    is_loaded = True

    def __init__(self, key: VerificationKey) -> None:
        self._checks = signature_checks(key)

    def version(self) -> int:
        """Always the same."""
        return 0

    def checks(self, kid: Any) -> SignatureChecks:  # noqa: ARG002  # the port's
        """The key's."""
        return self._checks

    async def refresh(self) -> bool:
        """There is nobody to ask."""
        return False
