"""T31: the cache of verified tokens."""

from collections.abc import Sequence
from typing import Any

import pytest

from broker.auth import token_cache
from broker.auth.bearer import AUTHORIZATION_MAX, TokenVerifier
from broker.auth.key_source import ConfiguredKey
from broker.auth.signatures import SignatureChecks
from broker.auth.token_cache import TOKEN_CACHE_CAPACITY, TOKEN_CACHE_LIFETIME, TokenCache
from broker.core.model import Principal
from broker.crypto.shared_secret import secret_key
from broker.errors import MalformedRequestError, UnauthenticatedError
from broker.settings.token_rules import TokenRules

from .minting import NOW, SECRET, USER, bearer, mint

ANOTHER = "another secret of the verifier, as long and as little known as the first"
USER_1 = Principal("u1")


class KeySource:
    """A configured key that can be replaced, and that counts its uses."""

    is_loaded = True

    def __init__(self, secret: str) -> None:
        self.changes = self.checked = 0
        self.replace(secret)

    def replace(self, secret: str) -> None:
        """Replace the secret."""
        self._key = ConfiguredKey(secret_key(secret))
        self.changes += 1

    def version(self) -> int:
        """Return the number of replacements."""
        return self.changes

    def checks(self, kid: Any) -> SignatureChecks:
        """Return the checks of the key, and count the call."""
        self.checked += 1
        return self._key.checks(kid)

    async def refresh(self) -> bool:
        """Return false, as there is nothing to fetch."""
        return False


@pytest.fixture
def keys() -> KeySource:
    """Return a replaceable source of keys."""
    return KeySource(SECRET)


@pytest.fixture
def verifier(keys: KeySource) -> TokenVerifier:
    """Return a verifier by the keys."""
    return TokenVerifier(TokenRules(secret_key(SECRET), leeway=5), keys)


async def refused(verifier: TokenVerifier, field: Sequence[str], now: int = NOW) -> str:
    """Return the reason of a refusal."""
    with pytest.raises(UnauthenticatedError) as caught:
        await verifier.authenticate(field, now=now)
    return caught.value.reason


async def test_verified_once_a_minute(verifier: TokenVerifier, keys: KeySource) -> None:
    """A valid token is verified once within the lifetime of its cache entry."""
    for now in range(NOW, NOW + TOKEN_CACHE_LIFETIME):
        assert await verifier.authenticate(bearer(mint()), now=now) == USER_1
    assert keys.checked == 1
    assert await verifier.authenticate(bearer(mint()), now=NOW + TOKEN_CACHE_LIFETIME) == USER_1
    assert keys.checked == 2


@pytest.mark.parametrize("left", [0, 10, 59])
async def test_entries_expire_with_the_token(verifier: TokenVerifier, left: int) -> None:
    """A cached token is refused once it has expired."""
    field = bearer(mint({**USER, "exp": NOW + left}))
    assert await verifier.authenticate(field, now=NOW) == USER_1
    assert await verifier.authenticate(field, now=NOW + left + 4) == USER_1
    assert await refused(verifier, field, NOW + left + 5) == "the token has expired"


async def test_clock_set_back(verifier: TokenVerifier) -> None:
    """A cached token is not valid before it was verified."""
    field = bearer(mint({**USER, "nbf": NOW}))
    assert await verifier.authenticate(field, now=NOW) == USER_1
    assert await refused(verifier, field, NOW - 60) == "the token is not valid yet"


async def test_other_signatures(verifier: TokenVerifier) -> None:
    """The same claims with another signature are not found in the cache."""
    good = mint()
    assert await verifier.authenticate(bearer(good), now=NOW) == USER_1
    head, _, signature = good.rpartition(".")
    for forged in (f"{head}.{signature[::-1]}", f"{head}.AAAA", good[:-1], f"{good}A"):
        assert await refused(verifier, bearer(forged)) in (
            "the signature does not verify",
            "the token is not in compact form",
        )


async def test_other_principals(verifier: TokenVerifier) -> None:
    """A token of another principal has its own entry."""
    assert await verifier.authenticate(bearer(mint()), now=NOW) == USER_1
    assert await verifier.authenticate(bearer(mint({**USER, "sub": "u2"})), now=NOW) == Principal("u2")


async def test_changed_keys(verifier: TokenVerifier, keys: KeySource) -> None:
    """A change of the keys clears the cache."""
    assert await verifier.authenticate(bearer(mint()), now=NOW) == USER_1
    keys.replace(ANOTHER)
    assert await refused(verifier, bearer(mint())) == "the signature does not verify"


async def test_invalid_tokens_are_not_cached(verifier: TokenVerifier, keys: KeySource) -> None:
    """An invalid token is verified each time."""
    for _ in range(3):
        await refused(verifier, bearer(mint({**USER, "exp": 1})))
    assert keys.checked == 3


async def test_two_fields(verifier: TokenVerifier) -> None:
    """Two Authorization fields with a cached token are a malformed request."""
    field = bearer(mint())
    assert await verifier.authenticate(field, now=NOW) == USER_1
    with pytest.raises(MalformedRequestError):
        await verifier.authenticate([*field, *field], now=NOW)


async def test_long_fields_are_not_cached(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that is too long is refused before the cache is read."""
    monkeypatch.setattr(TokenCache, "get", None)
    assert await refused(verifier, ["a" * (AUTHORIZATION_MAX + 1)]) == "the Authorization field is too long"


def test_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full cache evicts its oldest entry."""
    monkeypatch.setattr(token_cache, "TOKEN_CACHE_CAPACITY", 3)
    known = TokenCache()
    for name in "abcd":
        known.put(name.encode(), Principal(name), now=NOW, expires_at=NOW + 60)
    assert [known.get(name.encode(), now=NOW, keys_version=0) for name in "abcd"] == [None, *map(Principal, "bcd")]
    assert TOKEN_CACHE_CAPACITY == 4096
