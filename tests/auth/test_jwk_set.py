"""JWK Sets: usable keys are found, and other members do not affect them."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from broker.auth.jwk_set import JWKS_BYTES_MAX, JWKS_KEYS_MAX, KID_SHOWN_MAX, SkippedKey, parse
from broker.auth.key_source import KID_MAX
from tests.auth.minting import ED25519, P256, P384, RSA, document, jwk

RSA_2 = rsa.generate_private_key(65537, 2048)
RS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def algorithms(*keys: Any, narrowed: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Return the algorithms that have one key, by ``kid``."""
    found = parse(document(*keys), narrowed).by_kid
    return {kid: tuple(name for name, key in table.items() if key) for kid, table in found.items()}


def rules(*keys: Any, narrowed: tuple[str, ...] = ()) -> list[str]:
    """Return the rules that the skipped keys break."""
    return [key.rule for key in parse(document(*keys), narrowed).skipped]


def test_kinds_of_keys() -> None:
    """Keys of each kind are found by their ``kid``."""
    assert algorithms(jwk(RSA), jwk(P256, "two"), jwk(ED25519, "three")) == {
        "one": RS,
        "two": ("ES256",),
        "three": ("EdDSA",),
    }


def test_narrowed_algorithms() -> None:
    """Keys without an accepted algorithm are skipped."""
    assert algorithms(jwk(RSA), jwk(P256, "two"), narrowed=("PS256", "EdDSA")) == {"one": ("PS256",)}
    assert rules(jwk(RSA), jwk(P256, "two"), narrowed=("PS256", "EdDSA")) == ["must verify one of JWT_ALGORITHMS"]


PUBLIC, KID = "must be a public key, not a secret one", "must have a kid of 1 to 256 printable characters"
KIND, CURVE = "must have RSA, EC or OKP as its kty", "must have a crv among P-256, P-384, P-521"
OBJECT, POINT = "must be a JSON object", "must have x and y of a point on its curve"
SHORT = "must have x of 32 bytes, leading zeros included"
BAD: dict[str, tuple[Any, str]] = {
    "K13 secret": ({"kty": "oct", "k": "c2VjcmV0", "kid": "bad"}, PUBLIC),
    "K13 private": (jwk(RSA, "bad", d="AQAB"), PUBLIC),
    "K15 for encryption": (jwk(RSA, "bad", use="enc"), "must have sig as its use"),
    "K15 for encryption by its alg": (jwk(RSA, "bad", alg="RSA-OAEP"), f"must have an alg among {', '.join(RS)}"),
    "K15 no verify": (jwk(RSA, "bad", key_ops=["encrypt"]), "must have verify among its key_ops"),
    "K15 another algorithm": (jwk(RSA, "bad", alg="ES256"), f"must have an alg among {', '.join(RS)}"),
    "K16 weak": (jwk(rsa.generate_private_key(65537, 1024), "bad"), "must have 2048 to 8192 bits"),  # on purpose
    "K16 exponent": (jwk(RSA, "bad", e="AQ"), "must have an odd exponent of at least 3, below its modulus"),
    "K16 off the curve": (jwk(P256, "bad", x=jwk(P256)["y"]), POINT),
    "K17 curve": (jwk(P256, "bad", crv="P-192"), CURVE),
    "K17 kind": ({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "bad"}, KIND),
    "K17 number": (5, OBJECT),
    "K17 null": (None, OBJECT),
    "K17 text": ("key", OBJECT),
    "K21 name of another type": ({**jwk(P256), "kid": 5}, KID),
    "empty name": (jwk(P256, ""), KID),
    "long name": (jwk(P256, "k" * (KID_MAX + 1)), KID),
    "name with a line break": (jwk(P256, "a\nb"), KID),
    "padding": (jwk(RSA, "bad", n=jwk(RSA)["n"] + "="), "must have n in base64url without padding"),
    "short coordinate": (jwk(P256, "bad", x="A" * 42), SHORT),
    "certificate only": ({"kty": "RSA", "kid": "bad", "x5c": ["MIIC"]}, "must have n in base64url without padding"),
    "RFC 9864": (jwk(ED25519, "bad", alg="Ed25519"), "must have an alg among EdDSA"),
}


@pytest.mark.parametrize(("bad", "rule"), BAD.values(), ids=BAD.keys())
def test_unusable_keys(bad: Any, rule: str) -> None:
    """An unusable key is skipped with the rule that it breaks, and does not affect a usable one."""
    assert algorithms(bad, jwk(P256, "good")) == {"good": ("ES256",)}
    assert rules(bad, jwk(P256, "good")) == [rule]
    assert not parse(document(bad)).is_usable


def test_skipped_key_has_its_place() -> None:
    """A skipped key has its index and its ``kid``, cut and printable, and none of its other members."""
    long = "k\u202e" + "k" * 300
    skipped = parse(document(jwk(P256), jwk(RSA, "for encryption", use="enc"), jwk(P384, long), {"kid": 7})).skipped
    assert [(key.index, key.kid) for key in skipped] == [
        (1, "for encryption"),
        (2, "k?" + "k" * (KID_SHOWN_MAX - 2)),
        (3, None),
    ]
    assert skipped[0] == SkippedKey(1, "for encryption", "must have sig as its use")


RS256_ONLY = "must be the only key with its kid for RS256"
SAME_KID: dict[str, tuple[list[Any], tuple[str, ...], list[str]]] = {
    "the same key twice": ([jwk(RSA)] * 2, RS, []),
    "the same key a hundred times": ([jwk(P256)] * 100, ("ES256",), []),
    "the same key, of which one entry is narrower": ([jwk(RSA, alg="RS256"), jwk(RSA)], RS, []),
    "sig and enc": ([jwk(RSA, use="sig"), jwk(RSA_2, use="enc")], RS, ["must have sig as its use"]),
    "enc and sig of one key": ([jwk(RSA, use="enc"), jwk(RSA, use="sig")], RS, ["must have sig as its use"]),
    "RS256 and RS512 of one modulus": ([jwk(RSA, alg="RS256"), jwk(RSA, alg="RS512")], ("RS256", "RS512"), []),
    "RS256 and PS256 of two moduli": ([jwk(RSA, alg="RS256"), jwk(RSA_2, alg="PS256")], ("RS256", "PS256"), []),
    "RSA and EC": ([jwk(RSA), jwk(P256)], (*RS, "ES256"), []),
    "RSA, two curves and Edwards": (
        [jwk(RSA, alg="RS256"), jwk(P256), jwk(P384), jwk(ED25519)],
        ("RS256", "ES256", "ES384", "EdDSA"),
        [],
    ),
    "a secret and EC": ([{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}, jwk(P256)], ("ES256",), [PUBLIC]),
    "K14 two RS256 keys": ([jwk(RSA, alg="RS256"), jwk(RSA_2, alg="RS256")], (), [RS256_ONLY] * 2),
    "K14 and a key of another kind": (
        [jwk(RSA, alg="RS256"), jwk(P256), jwk(RSA_2, alg="RS256")],
        ("ES256",),
        [RS256_ONLY] * 2,
    ),
    "K14 one of them without alg": (
        [jwk(RSA, alg="RS256"), jwk(RSA_2)],
        ("RS384", "RS512", "PS256", "PS384", "PS512"),
        [RS256_ONLY] * 2,
    ),
    "K14 three entries of two keys": ([jwk(RSA, alg="RS256")] * 2 + [jwk(RSA_2, alg="RS256")], (), [RS256_ONLY] * 3),
}


@pytest.mark.parametrize(("keys", "usable", "broken"), SAME_KID.values(), ids=SAME_KID.keys())
def test_e02_k14_same_kid(keys: list[Any], usable: tuple[str, ...], broken: list[str]) -> None:
    """Keys with one ``kid`` are told apart by their algorithms; an algorithm that fits several keys has none."""
    for listed in (keys, keys[::-1]):
        (found,) = algorithms(*listed).values()
        assert set(found) == set(usable)
        assert rules(*listed) == broken
        assert set(algorithms(*listed[:99], jwk(ED25519, "other"))) == {"one", "other"}


MEMBERS = [
    jwk(RSA),
    jwk(RSA, alg="RS256"),
    jwk(RSA, alg="PS512", kid="two"),
    jwk(RSA_2, alg="RS256"),
    jwk(RSA_2, use="enc"),
    jwk(P256),
    jwk(P256, "two"),
    jwk(P384, "two", use="sig"),
    jwk(P384, alg="ES256"),
    {**jwk(ED25519), "kid": None},
    {"kty": "oct", "k": "c2VjcmV0", "kid": "two"},
]


@given(
    st.lists(st.sampled_from(MEMBERS), max_size=12).flatmap(
        lambda keys: st.tuples(st.just(keys), st.permutations(keys))
    )
)
def test_order_and_repetition(orders: tuple[list[Any], list[Any]]) -> None:
    """Neither the order of a set nor the repetition of its keys changes which algorithms have a key."""
    keys, permuted = orders
    found = [parse(document(*listed)) for listed in (keys, permuted, keys + permuted)]
    for one in found[1:]:
        assert one.by_kid == found[0].by_kid
        assert one.key_count == found[0].key_count
    assert sorted(key.rule for key in found[1].skipped) == sorted(key.rule for key in found[0].skipped)


def test_ambiguous_set_is_unusable() -> None:
    """A set in which every algorithm fits several keys is not usable."""
    assert not parse(document(jwk(RSA), jwk(RSA_2))).is_usable
    assert parse(document(jwk(RSA), jwk(RSA_2), jwk(P256))).is_usable


@pytest.mark.parametrize("name", [{}, {"kid": None}])
def test_k21_keys_without_kid(name: dict[str, Any]) -> None:
    """A key without a ``kid`` is skipped, also if it is the only one, and does not affect the others."""
    nameless = {member: value for member, value in jwk(P256).items() if member != "kid"} | name
    assert algorithms(nameless, jwk(ED25519, "good")) == {"good": ("EdDSA",)}
    assert rules(nameless) == [KID]
    assert not parse(document(nameless)).is_usable


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


def test_empty_set_is_unusable() -> None:
    """A set without keys is not usable."""
    assert not parse(document()).is_usable


@given(st.lists(JSON, max_size=4), st.dictionaries(st.sampled_from(sorted(jwk(RSA))), JSON))
def test_any_other_members(others: list[Any], changed: dict[str, Any]) -> None:
    """Any other members of the set do not affect a usable key."""
    found = parse(document(*others, {**jwk(RSA, "bad"), **changed, "kid": "bad"}, jwk(P256, "good")))
    assert found.by_kid["good"]["ES256"]
    assert len(found.skipped) <= len(others) + 1
