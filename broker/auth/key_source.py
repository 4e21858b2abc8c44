"""Sources of verification keys: one configured key, or keys that are found by a token's ``kid``."""

from typing import Any, NamedTuple, Protocol

from broker.crypto.verification_key import VerificationKey
from broker.errors import UnauthenticatedError

from .signatures import SignatureChecks, signature_checks


class UnknownKeyError(UnauthenticatedError):
    """No key has the token's ``kid``. The identity service may have published a new one."""


class FetchedKeys(NamedTuple):
    """The state of keys that are fetched: usable keys now, fetches that succeeded and failed, and the last success.

    ``loaded_at`` is in seconds since the Unix epoch, and ``None`` before the first success.
    """

    usable: int
    succeeded: int
    failed: int
    loaded_at: float | None


class KeySource(Protocol):
    """A source of the keys that verify tokens."""

    @property
    def is_loaded(self) -> bool:
        """Whether a key is loaded."""

    def fetched(self) -> FetchedKeys | None:
        """Return the state of the keys; ``None`` if they are configured, not fetched."""

    def version(self) -> int:
        """Return a number that changes with the keys. This also starts a refresh of old keys in the background."""

    def checks(self, kid: Any) -> SignatureChecks:
        """Return the checks of the loaded key that a token names, without I/O.

        Raises ``UnknownKeyError``, or ``IdentityUnavailableError`` if no keys are loaded.
        """

    async def refresh(self) -> bool:
        """Fetch the keys, and return whether that succeeded. No fetch starts soon after another."""


class ConfiguredKey:
    """The ``KeySource`` of one configured key, which verifies every token and ignores its ``kid``."""

    is_loaded = True

    def __init__(self, key: VerificationKey) -> None:
        self._checks = signature_checks(key)

    def fetched(self) -> None:
        """Return ``None``: a configured key is not fetched."""

    def version(self) -> int:
        """Return 0: a configured key never changes."""
        return 0

    def checks(self, kid: Any) -> SignatureChecks:  # noqa: ARG002  # of the protocol
        """Return the checks of the key."""
        return self._checks

    async def refresh(self) -> bool:
        """Return false: a configured key is not fetched."""
        return False
