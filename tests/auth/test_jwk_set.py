"""Sets of keys: the good ones are found, and whatever else is in the set does them no harm."""

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
    """What each key that is used verifies."""
    return {kid: key.algorithms for kid, key in parse(document(*keys), narrowed).items()}


def test_every_kind_of_key_is_found_by_its_name() -> None:
    rs = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    assert algorithms(jwk(RSA), jwk(P256, "two"), jwk(ED25519, "three")) == {
        "one": rs,
        "two": ("ES256",),
        "three": ("EdDSA",),
    }


def test_what_the_deployment_does_not_allow_is_left_out() -> None:
    assert algorithms(jwk(RSA), jwk(P256, "two"), narrowed=("PS256", "EdDSA")) == {"one": ("PS256",)}


BAD: dict[str, Any] = {
    "K13 secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "bad"},
    "K13 private": jwk(RSA, "bad", d="AQAB"),
    "K15 for encryption": jwk(RSA, "bad", use="enc"),
    "K15 no verify": jwk(RSA, "bad", key_ops=["encrypt"]),
    "K15 another algorithm": jwk(RSA, "bad", alg="ES256"),
    "K16 weak": jwk(rsa.generate_private_key(65537, 1024), "bad"),  # that is the point
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
def test_one_bad_key_does_a_good_one_no_harm_and_is_not_used(bad: Any) -> None:
    assert algorithms(bad, jwk(P256, "good")) == {"good": ("ES256",)}
    with pytest.raises(ValueError, match="no usable key"):
        parse(document(bad))


def test_k14_a_name_that_two_keys_have_is_nobodys() -> None:
    assert algorithms(jwk(P256, "same"), jwk(RSA, "same"), jwk(ED25519, "other")) == {"other": ("EdDSA",)}


@pytest.mark.parametrize(
    "said",
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
    ids=lambda said: repr(said[:20]),
)
def test_what_is_no_set_of_keys_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError):
        parse(said)


@given(st.lists(JSON, max_size=4), st.dictionaries(st.sampled_from(sorted(jwk(RSA))), JSON))
def test_whatever_else_is_listed_the_outcome_is_keys_or_a_refusal(others: list[Any], changed: dict[str, Any]) -> None:
    assert "good" in parse(document(*others, {**jwk(RSA, "bad"), **changed, "kid": "bad"}, jwk(P256, "good")))
