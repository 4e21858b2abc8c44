"""Valid bearer tokens, the limits of their claims, and changed tokens."""

import json
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from broker.auth.bearer import AUTHORIZATION_MAX, TokenVerifier
from broker.core.model import Principal
from broker.crypto.public_key import public_key
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
    """Return the principal of a request with ``token``."""
    return by.verify(bearer(token), now=NOW)


def accepted(token: str, by: TokenVerifier = HS) -> bool:
    """Return whether ``token`` is valid; other errors than ``UnauthenticatedError`` are raised."""
    try:
        who(token, by)
    except UnauthenticatedError:
        return False
    return True


@pytest.mark.parametrize("algorithm", KEYS)
def test_algorithms(algorithm: str) -> None:
    """A token that PyJWT signed with each algorithm has its subject as principal."""
    key = KEYS[algorithm]
    assert who(jwt.encode(USER, key, algorithm), verifier(key)) == Principal("u1")


@pytest.mark.parametrize("key", [ED25519, ED448], ids=["Ed25519", "Ed448"])
def test_edwards_curves(key: PrivateKey) -> None:
    """A token that PyJWT signed with EdDSA has its subject as principal."""
    assert who(jwt.encode(USER, key, "EdDSA"), verifier(key)) == Principal("u1")


def test_jwk_as_public_key() -> None:
    """A JWK verifies like the PEM form of its key."""
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(P256.public_key())
    by_jwk = TokenVerifier(TokenRules(public_key(jwk)))
    assert who(jwt.encode(USER, P256, "ES256"), by_jwk) == Principal("u1")


def test_jamsync_tokens() -> None:
    """A token of JamSync is valid: HS256, seven days, the subject in ``id``, no ``sub`` and no ``aud``."""
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
def test_service_scope(scope: Any, is_service: bool) -> None:
    """A principal is a service only if its token has exactly the service scope."""
    assert who(mint({**USER, "scope": scope})) == Principal("u1", is_service=is_service)


@pytest.mark.parametrize("name", ["scope", "scp"])
@pytest.mark.parametrize("scope", [0, 5, True, False, {}, {SERVICE: 1}, [SERVICE, 5], [[SERVICE]], [None]], ids=str)
def test_malformed_scopes(name: str, scope: Any) -> None:
    """A scope that is not a string or an array of strings is refused."""
    with pytest.raises(UnauthenticatedError) as refused:
        who(mint({**USER, name: scope}))
    assert refused.value.reason == f"{name} is not a string or an array of strings"
    with pytest.raises(UnauthenticatedError) as refused:
        who(mint({**USER, name: scope}), verifier(scope_claim=name))
    assert refused.value.reason == "the scope claim is not a string or an array of strings"


SCOPED: dict[str, tuple[dict[str, Any], bool]] = {
    "scp as text": ({"scp": f"a {SERVICE}"}, True),
    "scp as array": ({"scp": ["a", SERVICE]}, True),
    "scp beside another scope": ({"scope": "openid", "scp": [SERVICE]}, True),
    "scope beside another scp": ({"scope": SERVICE, "scp": ["openid"]}, True),
    "scope beside a null scp": ({"scope": SERVICE, "scp": None}, True),
    "null": ({"scope": None, "scp": None}, False),
    "other claims": ({"roles": [SERVICE], "permissions": [SERVICE], "scopes": SERVICE, "SCP": SERVICE}, False),
}


@pytest.mark.parametrize(("given", "is_service"), SCOPED.values(), ids=SCOPED.keys())
def test_e06_scope_and_scp(given: dict[str, Any], is_service: bool) -> None:
    """Scopes are read from ``scope`` and ``scp`` together, and from no other claim."""
    assert who(mint({**USER, **given})) == Principal("u1", is_service=is_service)


NESTED = {"realm_access": {"roles": [SERVICE]}, "resource_access": {"broker-api": {"roles": f"a {SERVICE}"}}}
DOTTED = {
    "resource_access": {"my.client": {"roles": [SERVICE]}, "my": {"client": {"roles": ["a"]}}},
    "https://example.com/claims": {"allowed-roles": [SERVICE]},
}
CLAIMS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "roles": ("roles", {"roles": ["a", SERVICE]}, True),
    "permissions": ("permissions", {"permissions": [SERVICE]}, True),
    "one role as text": ("role", {"role": SERVICE}, True),
    "a namespace": ("https://example.com/roles", {"https://example.com/roles": [SERVICE]}, True),
    "a name with a colon": ("cognito:groups", {"cognito:groups": [SERVICE]}, True),
    "null": ("roles", {"roles": None}, False),
    "missing": ("roles", {}, False),
    "only scope and scp": ("roles", {"scope": SERVICE, "scp": SERVICE}, False),
    "scope only": ("scope", {"scp": SERVICE}, False),
    "a path": ("realm_access.roles", NESTED, True),
    "a longer path": ("resource_access.broker-api.roles", NESTED, True),
    "a name with dots before the path": ("realm_access.roles", {**NESTED, "realm_access.roles": ["a"]}, False),
    "a name with dots": ("example.roles", {"example.roles": [SERVICE]}, True),
    "a name with dots that is null": ("realm_access.roles", {**NESTED, "realm_access.roles": None}, False),
    "a name with dots in a path": ("resource_access.my.client.roles", DOTTED, True),
    "a namespace in a path": ("https://example.com/claims.allowed-roles", DOTTED, True),
    "the longest name": ("a.b.c", {"a.b": {"c": SERVICE}, "a": {"b.c": "x"}}, True),
    "not the shorter name": ("a.b.c", {"a.b": {"c": "x"}, "a": {"b.c": SERVICE, "b": {"c": SERVICE}}}, False),
    "not the shorter name, if the longest leads to nothing": ("a.b.c", {"a.b": {}, "a": {"b.c": SERVICE}}, False),
    "a path to nothing": ("realm_access.groups", NESTED, False),
    "a path through an array": ("roles.0", {"roles": [SERVICE]}, False),
    "a path through a text": ("role.x", {"role": SERVICE}, False),
    "a path through null": ("realm_access.roles", {"realm_access": None}, False),
    "a path with an empty name": ("realm_access..roles", NESTED, False),
    "a path with a dot at its end": ("realm_access.roles.", NESTED, False),
    "part of a path": ("roles", NESTED, False),
    "a namespace is not a path": ("https://example.com/roles", {"https://example": {"com": [SERVICE]}}, False),
}


@pytest.mark.parametrize(("name", "given", "is_service"), CLAIMS.values(), ids=CLAIMS.keys())
def test_e06_scope_claim(name: str, given: dict[str, Any], is_service: bool) -> None:
    """With a configured claim the scopes are read from it only; dots may separate the names of objects."""
    assert who(mint({**USER, **given}), verifier(scope_claim=name)) == Principal("u1", is_service=is_service)


@pytest.mark.parametrize("given", [{"realm_access": {"roles": {}}}, {"realm_access": {"roles": [5]}}], ids=str)
def test_malformed_nested_scopes(given: dict[str, Any]) -> None:
    """A nested claim of another type than a string or an array of strings is refused."""
    assert not accepted(mint({**USER, **given}), verifier(scope_claim="realm_access.roles"))


@pytest.mark.parametrize("claim", ["nbf", "iat", "scope", "scp", "aud", "iss", "jti", "azp", "roles"])
def test_e06_null_claims(claim: str) -> None:
    """An optional claim that is null is a claim that is left out."""
    assert who(mint({**USER, claim: None}), verifier(scope_claim=None)) == Principal("u1")


@pytest.mark.parametrize(
    ("claim", "rule"), [("exp", {}), ("sub", {}), ("aud", {"audience": "a"}), ("iss", {"issuer": "a"})]
)
def test_null_in_required_claims(claim: str, rule: dict[str, str]) -> None:
    """A required claim that is null is refused."""
    good = {**USER, "aud": "a", "iss": "a"}
    assert accepted(mint(good), verifier(**rule))
    assert not accepted(mint({**good, claim: None}), verifier(**rule))
    assert not accepted(mint({name: value for name, value in good.items() if name != claim}), verifier(**rule))


@pytest.mark.parametrize("subject", [0, 5, 42, 2**53 + 1, 2**64 - 1])
@pytest.mark.parametrize("name", ["sub", "id"])
def test_e06_numeric_subjects(name: str, subject: int) -> None:
    """A subject that is an integer is the same principal as the string of its decimal digits."""
    by = verifier(subject_claim=name)
    assert who(mint({**USER, name: subject}), by) == who(mint({**USER, name: str(subject)}), by)
    assert who(mint({**USER, name: subject}), by) == Principal(str(subject))


def test_empty_scope() -> None:
    """An empty scope does not match an empty service scope."""
    assert who(mint({**USER, "scope": ""}), verifier(service_scope="")) == Principal("u1")


def test_configured_service_scope() -> None:
    """The service scope is the configured one."""
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
def test_leeway(claim: str, last_good: float, first_bad: float) -> None:
    """Times are valid exactly up to the leeway and the maximum lifetime."""
    rules = verifier(leeway=LEEWAY, max_lifetime=1000)
    assert accepted(mint({**USER, claim: last_good}), rules)
    assert not accepted(mint({**USER, claim: first_bad}), rules)


def test_no_leeway() -> None:
    """Without leeway a token is valid until ``exp``, and ``exp`` may be at the maximum lifetime."""
    rules = verifier(leeway=0, max_lifetime=100)
    answers = [accepted(mint({**USER, "exp": exp}), rules) for exp in (NOW, NOW + 1, NOW + 100, NOW + 101)]
    assert answers == [False, True, True, False]


def test_default_times() -> None:
    """The defaults are 31 days of lifetime and 30 seconds of leeway."""
    longest = NOW + 31 * 86_400 + LEEWAY
    answers = [accepted(mint({**USER, "exp": exp})) for exp in (NOW - LEEWAY, NOW - LEEWAY + 1, longest, longest + 1)]
    assert answers == [False, True, True, False]


def test_past_nbf_and_iat() -> None:
    """``nbf`` and ``iat`` may be any time in the past."""
    assert accepted(mint({**USER, "nbf": 0, "iat": 0.5}))


@pytest.mark.parametrize("aud", ["broker", ["broker"], ["other", "broker"]], ids=str)
def test_audiences(aud: Any) -> None:
    """The audience may be a string or one of an array."""
    assert accepted(mint({**USER, "aud": aud}), verifier(audience="broker"))


@pytest.mark.parametrize("claim", ["aud", "iss"])
@pytest.mark.parametrize("value", ["other", ["other"], 5, None], ids=str)
def test_unconfigured_claims(claim: str, value: Any) -> None:
    """``aud`` and ``iss`` are not validated unless they are configured."""
    assert accepted(mint({**USER, claim: value}))


@pytest.mark.parametrize(
    "subject", ["auth0|5f7c8ec7", "https://id.example/users/1", "u1/", "a..b", "...", "é 1", "100%"]
)
def test_common_subjects(subject: str) -> None:
    """The forms of subjects that identity services use are valid."""
    assert who(mint({**USER, "sub": subject})) == Principal(subject)


@pytest.mark.parametrize("subject", ["x", "x" * 255, "é" * 127], ids=len)
def test_subject_length(subject: str) -> None:
    """A subject has 1 to 255 bytes."""
    assert who(mint({**USER, "sub": subject})) == Principal(subject)


@pytest.mark.parametrize("given", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+JWT"])
@pytest.mark.parametrize("required", ["at+jwt", "application/AT+jwt"])
def test_typ(given: str, required: str) -> None:
    """``typ`` is compared in any case, with or without ``application/``."""
    assert accepted(mint(header={"alg": "HS256", "typ": given}), verifier(typ=required))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "", "anything"])
def test_any_typ(typ: str) -> None:
    """Any ``typ`` is valid if none is required."""
    assert accepted(mint(header={"alg": "HS256", "typ": typ}))


@pytest.mark.parametrize(
    "header", [{"kid": "k" * 256}, {"kid": "1"}, {"jwk": {}}, {"jku": 5}, {"x5c": []}, {"x5t#S256": "x"}], ids=str
)
def test_ignored_parameters(header: dict[str, Any]) -> None:
    """Parameters that are ignored may have any value."""
    assert accepted(mint(header={"alg": "HS256", **header}))


def test_longest_field() -> None:
    """An Authorization field may have 8 KiB."""
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
def test_library_errors(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each error of the libraries is a signature that does not verify, and is not chained."""
    monkeypatch.setattr(jwt.algorithms.ECAlgorithm, "verify", Mock(side_effect=error))
    with pytest.raises(UnauthenticatedError) as refused:
        who(jwt.encode(USER, P256, "ES256"), verifier(P256))

    assert refused.value.reason == "the signature does not verify"
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def outcome(fields: list[str], by: TokenVerifier = HS) -> Principal | None:
    """Return the principal or ``None``; other errors fail the test."""
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
def test_changed_characters(algorithm: str, data: st.DataObject) -> None:
    """A change of any character is refused, except for the case of the scheme."""
    token, by = GOOD[algorithm]
    (field,) = bearer(token)
    at = data.draw(st.integers(0, len(field) - 1))
    other = data.draw(st.characters(max_codepoint=255) | st.sampled_from("AEIMQUYcgkosw048-_.")).replace(field[at], "~")
    changed = field[:at] + other + field[at + 1 :]

    in_scheme = changed[:7].lower() == "bearer "
    assert outcome([changed], by) == (Principal("u1") if at < 7 and in_scheme else None)


@given(st.lists(st.text() | st.text().map("Bearer {}".format), max_size=3))
def test_any_fields(fields: list[str]) -> None:
    """Any texts as Authorization fields are refused without another error."""
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
    optional={"nbf": times, "iat": times, "iss": anything, "aud": anything, "scope": anything, "scp": anything},
)


@given(parameters, claims)
def test_any_signed_json(header: dict[str, Any], payload: dict[str, Any]) -> None:
    """Any signed JSON has its subject as principal or is refused without another error."""
    found = outcome(bearer(mint(json.dumps(payload), header=json.dumps(header))))
    assert found is None or found.subject == str(payload["sub"])
    assert found is None or type(payload["sub"]) in (str, int)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_signed_bytes(header: bytes, payload: bytes) -> None:
    """Any signed bytes are refused without another error."""
    assert outcome(bearer(mint(payload))) is None
    assert outcome(bearer(mint(header=header))) is None


@pytest.mark.parametrize("value", [" ", "x", "bearer", "Bearer ."])
def test_short_fields(value: str) -> None:
    """A field without a token is refused."""
    assert outcome([value]) is None


def test_repr_hides_keys() -> None:
    """The ``repr`` of token rules contains no key."""
    rules = TokenRules(public_key(pem(RSA)))
    assert "RSAPublicKey" not in repr(rules)
    assert SECRET not in repr(verifier()._rules)
