"""JWK Sets: usable keys are found, and other members do not affect them."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from broker.auth.jwk_set import JWKS_BYTES_MAX, JWKS_KEYS_MAX, parse
from tests.auth.minting import ED25519, P256, RSA, document, jwk

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def algorithms(*keys: Any, narrowed: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Return the algorithms of each usable key by its ``kid``."""
    return {kid: key.algorithms for kid, key in parse(document(*keys), narrowed).items()}


def test_kinds_of_keys() -> None:
    """Keys of each kind are found by their ``kid``."""
    rs = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    assert algorithms(jwk(RSA), jwk(P256, "two"), jwk(ED25519, "three")) == {
        "one": rs,
        "two": ("ES256",),
        "three": ("EdDSA",),
    }


def test_narrowed_algorithms() -> None:
    """Keys without an accepted algorithm are left out."""
    assert algorithms(jwk(RSA), jwk(P256, "two"), narrowed=("PS256", "EdDSA")) == {"one": ("PS256",)}


BAD: dict[str, Any] = {
    "K13 secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "bad"},
    "K13 private": jwk(RSA, "bad", d="AQAB"),
    "K15 for encryption": jwk(RSA, "bad", use="enc"),
    "K15 no verify": jwk(RSA, "bad", key_ops=["encrypt"]),
    "K15 another algorithm": jwk(RSA, "bad", alg="ES256"),
    "K16 weak": jwk(rsa.generate_private_key(65537, 1024), "bad"),  # the weak key is the test
    "K16 exponent": jwk(RSA, "bad", e="AQ"),
    "K16 off the curve": jwk(P256, "bad", x=jwk(P256)["y"]),
    "K17 curve": jwk(P256, "bad", crv="P-192"),
    "K17 kind": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "bad"},
    "K17 number": 5,
    "K17 null": None,
    "K17 text": "key",
    "K21 no name": {name: value for name, value in jwk(P256).items() if name != "kid"},
    "K21 name of another type": {**jwk(P256), "kid": None},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_unusable_keys(bad: Any) -> None:
    """An unusable key is ignored and does not affect a usable one."""
    assert algorithms(bad, jwk(P256, "good")) == {"good": ("ES256",)}
    with pytest.raises(ValueError, match="no usable key"):
        parse(document(bad))


def test_k14_duplicate_kid() -> None:
    """Keys that share a ``kid`` are ignored."""
    assert algorithms(jwk(P256, "same"), jwk(RSA, "same"), jwk(ED25519, "other")) == {"other": ("EdDSA",)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html></html>",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": []}',
        b"[" * 100_000,
        b'{"keys": [], "keys": []}',
        document(*(jwk(P256, str(n)) for n in range(JWKS_KEYS_MAX + 1))),
        document(jwk(P256)) + b" " * JWKS_BYTES_MAX,
        document(jwk(P256))[:-2],
    ],
    ids=lambda data: repr(data[:20]),
)
def test_invalid_sets(data: bytes) -> None:
    """An invalid or too large JWK Set is refused."""
    with pytest.raises(ValueError):
        parse(data)


@given(st.lists(JSON, max_size=4), st.dictionaries(st.sampled_from(sorted(jwk(RSA))), JSON))
def test_any_other_members(others: list[Any], changed: dict[str, Any]) -> None:
    """Any other members of the set do not affect a usable key."""
    assert "good" in parse(document(*others, {**jwk(RSA, "bad"), **changed, "kid": "bad"}, jwk(P256, "good")))
