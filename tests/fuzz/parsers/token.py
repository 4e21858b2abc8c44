"""``TokenVerifier.authenticate``: one refusal for every cause, and a principal only for valid signatures and claims.

The first byte of an input selects the verifier and the fuzzed piece: the whole field; the header and the claims,
which are then signed; or the signature for a public key. A NUL byte separates the header and the claims.
"""

import json
import re
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import unquote

from broker.auth.bearer import AUTHORIZATION_MAX, SUBJECT_MAX, TokenVerifier
from broker.core.model import Principal
from broker.errors import UnauthenticatedError
from tests.auth import minting
from tests.auth.minting import NOW, USER, bearer, mint

T = TypeVar("T")

STRICT = {"issuer": "idp", "audience": "api", "typ": "JWT", "subject_claim": "id", "service_scope": "admin"}
VERIFIERS = (minting.verifier(), minting.verifier(**STRICT))
PUBLIC = (
    (minting.verifier(minting.P256), "ES256"),
    (minting.verifier(minting.RSA), "RS256"),
    (minting.verifier(minting.RSA), "PS256"),
    (minting.verifier(minting.ED25519), "EdDSA"),
)
LEEWAY, LIFETIME = 30, 31 * 86_400

FULL = {"id": "u1", "iss": "idp", "aud": ["api"], "exp": NOW + 9, "nbf": NOW, "iat": NOW, "scope": "admin x"}
HEADERS = (
    b'{"alg":"HS256"}',
    b'{"typ":"JWT","alg":"HS256","kid":"one"}',
    b'{"alg":"none"}',
    b'{"alg":"HS256","crit":[]}',
)
CLAIMS = (
    *(json.dumps(claims).encode() for claims in (USER, FULL, {**USER, "scope": ["broker:service"]})),
    *(json.dumps({**USER, **more}).encode() for more in ({"sub": 42}, {"nbf": None, "scp": ["broker:service"]})),
    b'{"sub":"u1","exp":1800000600,"sub":"u2"}',
    b'{"sub":"%252e%252e/x","exp":1.8000001e9}',
    b'{"sub":"a\\ud800","exp":1e400}',
    b'{"sub":"u1","exp":' + b"9" * 400 + b"}",
)
SEEDS = [
    *(b"\x00" + f"Bearer {mint(claims)}".encode() for claims in (USER, FULL)),
    *(
        b"\x00" + text
        for text in (b"", b"Bearer", b"Basic dTpw", b"bearer a.b.c", b"Bearer  a.b.c", b"Bearer e30.e30.e30")
    ),
    *(bytes([mode]) + head + b"\x00" + claims for mode in (1, 3) for head in HEADERS for claims in CLAIMS),
    *(bytes([2 + 4 * at]) + b"\x00" * length for at, length in enumerate((64, 256, 256, 64))),
]
WORDS = [
    *(b'"alg"', b'"typ"', b'"kid"', b'"crit"', b'"b64"', b'"zip"', b'"sub"', b'"exp"', b'"nbf"', b'"iat"', b'"scope"'),
    *(
        b'"aud"',
        b'"iss"',
        b'"id"',
        b"HS256",
        b"none",
        b"Bearer ",
        b"application/jwt",
        b"\\ud800",
        b"\\u0000",
        b"%2e%2e",
    ),
    *(b"1800000600", b"1e308", b"-1", b"NaN", b"Infinity", b"true", b"null", b"{}", b"[]", b"..", b"admin", b"9" * 309),
]


def check(data: bytes) -> None:
    """Check the rules for any Authorization field."""
    mode, rest = (data[0] if data else 0), data[1:]
    match mode % 4:
        case 0:
            _check_field(mode, rest.decode("latin-1"))
        case 2:
            _check_signature(mode, rest)
        case _:
            _check_claims(mode, rest)


def _authenticated(verifier: TokenVerifier, field: str) -> Principal | None:
    """Return the principal, or ``None`` for a refusal; any other exception is a finding."""
    try:
        return _now(verifier.authenticate([field], now=NOW))
    except UnauthenticatedError as error:
        assert error.detail == "A valid bearer token is required in the Authorization header field."
        assert re.fullmatch(r"[a-z][A-Za-z ,]{5,60}", error.reason), error.reason
        assert error.__cause__ is None
        return None


def _now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("a configured key needs no network")


def _check_field(mode: int, field: str) -> None:
    principal = _authenticated(VERIFIERS[mode // 4 % 2], field)
    if principal is None:
        return
    assert len(field) <= AUTHORIZATION_MAX
    match = re.fullmatch(r"(?i:bearer) ([\w-]+\.([\w-]+))\.[\w-]+", field, re.ASCII)
    assert match
    signed, _, signature = field.partition(" ")[2].rpartition(".")
    assert minting.b64(minting.GOOD(signed.encode())) == signature


def _check_signature(mode: int, signature: bytes) -> None:
    verifier, algorithm = PUBLIC[mode // 4 % len(PUBLIC)]
    forged = mint(USER, lambda _: signature or b"\x00", {"alg": algorithm})
    assert _authenticated(verifier, f"Bearer {forged}") is None


def _check_claims(mode: int, data: bytes) -> None:
    header, _, claims = data.partition(b"\x00")
    strict = mode % 4 == 3
    principal = _authenticated(VERIFIERS[strict], *bearer(mint(claims, header=header)))
    if principal is None:
        return
    assert json.loads(header)["alg"] == "HS256"
    _check_principal(principal, json.loads(claims), strict=strict)


def _check_principal(principal: Principal, claims: dict[str, Any], *, strict: bool) -> None:
    """Check an accepted principal by a second reading of the claims."""
    assert principal.subject == str(claims["id" if strict else "sub"])
    assert type(claims["id" if strict else "sub"]) in (str, int)
    assert 1 <= len(principal.subject.encode()) <= SUBJECT_MAX
    decoded = unquote(unquote(principal.subject))
    assert decoded.isprintable()
    assert not {".", ".."} & set(re.split(r"[/\\]", decoded))
    assert NOW - LEEWAY < claims["exp"] <= NOW + LEEWAY + LIFETIME
    assert max(claims.get("nbf") or 0, claims.get("iat") or 0) <= NOW + LEEWAY
    if strict:
        assert claims["iss"] == "idp"
        assert "api" in claims["aud"]
    scopes = [claims.get("scope") or [], claims.get("scp") or []]
    granted = [one for scope in scopes for one in (scope.split() if isinstance(scope, str) else scope)]
    assert principal.is_service is (("admin" if strict else "broker:service") in granted)
