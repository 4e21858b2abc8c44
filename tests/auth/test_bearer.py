"""Bearer tokens that are good, up to their very edges, and what no change of one can do."""

import json
from typing import Any, NoReturn

import jwt
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from broker.auth.bearer import AUTHORIZATION_MAX, TokenVerifier
from broker.auth.key_source import ConfiguredKey
from broker.core.model import Principal
from broker.crypto.verification_key import public_key
from broker.errors import MalformedRequestError, UnauthenticatedError
from broker.settings.token_rules import TokenRules

from .minting import ED448, ED25519, NOW, P256, P384, P521, RSA, SECRET, USER, PrivateKey, bearer, mint, pem, verifier

HS = verifier()
LEEWAY = 30
KEYS: dict[str, PrivateKey | str] = {
    "HS256": SECRET,
    "HS384": SECRET,
    "HS512": SECRET,
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": P256,
    "ES384": P384,
    "ES512": P521,
}


def who(token: str, by: TokenVerifier = HS) -> Principal:
    """The principal of a request with ``token``."""
    return by.verify(bearer(token), now=NOW)


def accepted(token: str, by: TokenVerifier = HS) -> bool:
    """Whether ``token`` has a principal; any error but the one is an error here too."""
    try:
        who(token, by)
    except UnauthenticatedError:
        return False
    return True


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_of_each_algorithm_has_its_subject_as_principal(algorithm: str) -> None:
    """Made by PyJWT, as an identity service would."""
    key = KEYS[algorithm]
    assert who(jwt.encode(USER, key, algorithm), verifier(key)) == Principal("u1")


@pytest.mark.parametrize("key", [ED25519, ED448], ids=["Ed25519", "Ed448"])
def test_a_token_under_an_edwards_curve_has_its_subject_as_principal(key: PrivateKey) -> None:
    assert who(jwt.encode(USER, key, "EdDSA"), verifier(key)) == Principal("u1")


def test_a_jwk_verifies_like_the_pem_of_its_key() -> None:
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(P256.public_key())
    by_jwk = TokenVerifier(TokenRules(public_key(jwk)))
    assert who(jwt.encode(USER, P256, "ES256"), by_jwk) == Principal("u1")


def test_jamsync_s_tokens_are_good() -> None:
    """HS256, seven days, the subject in ``id``, neither ``sub`` nor ``aud``."""
    claims = {"id": "c1", "username": "ann", "email": "ann@example.org", "iat": NOW, "exp": NOW + 7 * 86_400}
    token = jwt.encode(claims, SECRET, "HS256")

    assert who(token, verifier(subject_claim="id")) == Principal("c1")
    assert not accepted(token)


SERVICE = "broker:service"


@pytest.mark.parametrize(
    ("scope", "is_service"),
    [
        (SERVICE, True),
        (f"openid {SERVICE} email", True),
        ([SERVICE], True),
        (["openid", SERVICE], True),
        ("", False),
        ([], False),
        ("openid", False),
        (SERVICE.upper(), False),
        (f"{SERVICE}:x", False),
        (f"x{SERVICE}", False),
        (f"openid\t{SERVICE}", False),
        (f"openid,{SERVICE}", False),
        ([f"openid {SERVICE}"], False),
    ],
    ids=str,
)
def test_a_service_is_who_has_the_scope_exactly(scope: Any, is_service: bool) -> None:
    assert who(mint({**USER, "scope": scope})) == Principal("u1", is_service=is_service)


@pytest.mark.parametrize("scope", [None, 5, True, {}, {SERVICE: 1}, [SERVICE, 5], [[SERVICE]], [None]], ids=str)
def test_a_malformed_scope_is_refused(scope: Any) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        who(mint({**USER, "scope": scope}))
    assert refused.value.reason == "scope is not a string or an array of strings"


def test_an_empty_scope_makes_nobody_a_service() -> None:
    assert who(mint({**USER, "scope": ""}), verifier(service_scope="")) == Principal("u1")


def test_the_scope_of_a_service_is_the_configured_one() -> None:
    rules = verifier(service_scope="jamsync:backend")
    assert who(mint({**USER, "scope": "jamsync:backend"}), rules) == Principal("u1", is_service=True)
    assert who(mint({**USER, "scope": SERVICE}), rules) == Principal("u1")


@pytest.mark.parametrize(
    ("claim", "last_good", "first_bad"),
    [
        ("exp", NOW - LEEWAY + 1, NOW - LEEWAY),
        ("exp", NOW - LEEWAY + 0.5, NOW - LEEWAY - 0.5),
        ("exp", NOW + 1000 + LEEWAY, NOW + 1000 + LEEWAY + 1),
        ("nbf", NOW + LEEWAY, NOW + LEEWAY + 1),
        ("nbf", NOW + LEEWAY - 0.5, NOW + LEEWAY + 0.5),
        ("iat", NOW + LEEWAY, NOW + LEEWAY + 1),
    ],
)
def test_a_time_is_good_to_the_edge_of_the_leeway(claim: str, last_good: float, first_bad: float) -> None:
    rules = verifier(leeway=LEEWAY, max_lifetime=1000)
    assert accepted(mint({**USER, claim: last_good}), rules)
    assert not accepted(mint({**USER, claim: first_bad}), rules)


def test_a_token_is_good_until_exp_without_leeway() -> None:
    rules = verifier(leeway=0, max_lifetime=100)
    answers = [accepted(mint({**USER, "exp": exp}), rules) for exp in (NOW, NOW + 1, NOW + 100, NOW + 101)]
    assert answers == [False, True, True, False]


def test_the_rules_allow_31_days_and_30_seconds_unless_told() -> None:
    longest = NOW + 31 * 86_400 + LEEWAY
    answers = [accepted(mint({**USER, "exp": exp})) for exp in (NOW - LEEWAY, NOW - LEEWAY + 1, longest, longest + 1)]
    assert answers == [False, True, True, False]


def test_nbf_and_iat_may_be_any_time_in_the_past() -> None:
    assert accepted(mint({**USER, "nbf": 0, "iat": 0.5}))


@pytest.mark.parametrize("aud", ["broker", ["broker"], ["other", "broker"]], ids=str)
def test_an_audience_is_named_alone_or_among_others(aud: Any) -> None:
    assert accepted(mint({**USER, "aud": aud}), verifier(audience="broker"))


@pytest.mark.parametrize("claim", ["aud", "iss"])
@pytest.mark.parametrize("value", ["other", ["other"], 5, None], ids=str)
def test_what_is_not_configured_is_not_looked_at(claim: str, value: Any) -> None:
    assert accepted(mint({**USER, claim: value}))


@pytest.mark.parametrize(
    "subject", ["auth0|5f7c8ec7", "https://id.example/users/1", "u1/", "a..b", "...", "é 1", "100%"]
)
def test_subjects_of_common_identity_services_are_good(subject: str) -> None:
    assert who(mint({**USER, "sub": subject})) == Principal(subject)


@pytest.mark.parametrize("subject", ["x", "x" * 255, "é" * 127], ids=len)
def test_a_subject_has_1_to_255_bytes(subject: str) -> None:
    assert who(mint({**USER, "sub": subject})) == Principal(subject)


@pytest.mark.parametrize("given", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+JWT"])
@pytest.mark.parametrize("required", ["at+jwt", "application/AT+jwt"])
def test_a_typ_is_a_media_type_with_or_without_application(given: str, required: str) -> None:
    assert accepted(mint(header={"alg": "HS256", "typ": given}), verifier(typ=required))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "", "anything"])
def test_any_typ_is_good_when_none_is_required(typ: str) -> None:
    assert accepted(mint(header={"alg": "HS256", "typ": typ}))


@pytest.mark.parametrize(
    "header", [{"kid": "k" * 256}, {"kid": "1"}, {"jwk": {}}, {"jku": 5}, {"x5c": []}, {"x5t#S256": "x"}], ids=str
)
def test_a_header_may_hold_what_is_never_used(header: dict[str, Any]) -> None:
    assert accepted(mint(header={"alg": "HS256", **header}))


def test_an_authorization_field_may_have_8_kibibytes() -> None:
    room = AUTHORIZATION_MAX - len(bearer(mint({**USER, "x": ""}))[0])
    fields = [bearer(mint({**USER, "x": "x" * size}))[0] for size in range(room * 3 // 4 - 3, room * 3 // 4 + 4)]
    lengths = {len(field): field for field in fields}

    assert AUTHORIZATION_MAX == 8192
    longest = max(length for length in lengths if length <= AUTHORIZATION_MAX)
    assert longest >= AUTHORIZATION_MAX - 1
    assert HS.verify([lengths[longest]], now=NOW) == Principal("u1")


@pytest.mark.parametrize(
    "error",
    [jwt.InvalidKeyError("x"), jwt.InvalidTokenError("x"), ValueError("x"), TypeError("x"), UnsupportedAlgorithm("x")],
    ids=repr,
)
def test_whatever_the_library_raises_is_a_wrong_signature(error: Exception) -> None:
    def fail(_message: bytes, _signature: bytes) -> NoReturn:
        raise error

    by = verifier()
    assert isinstance(by.keys, ConfiguredKey)
    by.keys._checks = {"HS256": fail}
    with pytest.raises(UnauthenticatedError) as refused:
        who(mint(), by)

    assert refused.value.reason == "the signature does not verify"
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def outcome(fields: list[str], by: TokenVerifier = HS) -> Principal | None:
    """The principal or none; whatever else is raised fails the test."""
    try:
        return by.verify(fields, now=NOW)
    except (UnauthenticatedError, MalformedRequestError):
        return None


GOOD: dict[str, tuple[str, TokenVerifier]] = {
    algorithm: (jwt.encode(USER, key, algorithm), verifier(key))
    for algorithm, key in (("HS256", SECRET), ("RS256", RSA), ("PS256", RSA), ("ES256", P256), ("EdDSA", ED25519))
}


@pytest.mark.parametrize("algorithm", GOOD)
@given(data=st.data())
def test_no_change_of_a_character_makes_another_principal(algorithm: str, data: st.DataObject) -> None:
    """Only the case of the scheme may change; of a token every character counts."""
    token, by = GOOD[algorithm]
    (field,) = bearer(token)
    at = data.draw(st.integers(0, len(field) - 1))
    other = data.draw(st.characters(max_codepoint=255) | st.sampled_from("AEIMQUYcgkosw048-_.")).replace(field[at], "~")
    changed = field[:at] + other + field[at + 1 :]

    in_scheme = changed[:7].lower() == "bearer "
    assert outcome([changed], by) == (Principal("u1") if at < 7 and in_scheme else None)


@given(st.lists(st.text() | st.text().map("Bearer {}".format), max_size=3))
def test_no_text_as_authorization_raises_anything_else(fields: list[str]) -> None:
    assert outcome(fields) is None


anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["HS256", "JWT", SERVICE, "u1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
times = st.integers(NOW - 60, NOW + 60) | anything
parameters = st.fixed_dictionaries(
    {"alg": st.just("HS256") | anything},
    optional=dict.fromkeys(("typ", "kid", "crit", "b64", "zip", "jwk"), anything),
)
claims = st.fixed_dictionaries(
    {"sub": st.just("u1") | st.text() | anything, "exp": st.just(NOW + 60) | times},
    optional={"nbf": times, "iat": times, "iss": anything, "aud": anything, "scope": anything},
)


@given(parameters, claims)
def test_no_signed_document_raises_anything_else(header: dict[str, Any], payload: dict[str, Any]) -> None:
    """The issuer's own signature under any JSON: its subject as it is, or a refusal."""
    found = outcome(bearer(mint(json.dumps(payload), header=json.dumps(header))))
    assert found is None or found.subject == payload["sub"]


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_signed_bytes_raise_anything_else(header: bytes, payload: bytes) -> None:
    assert outcome(bearer(mint(payload))) is None
    assert outcome(bearer(mint(header=header))) is None


@pytest.mark.parametrize("value", [" ", "x", "bearer", "Bearer ."])
def test_a_short_field_is_refused(value: str) -> None:
    assert outcome([value]) is None


def test_a_verifier_shows_no_key() -> None:
    rules = TokenRules(public_key(pem(RSA)))
    assert "RSAPublicKey" not in repr(rules)
    assert SECRET not in repr(verifier()._rules)
