"""Forged and malformed tokens, one test for each row of the catalogue. All are refused with the same response."""

import base64
import json
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from broker import settings
from broker.auth.bearer import AUTHORIZATION_MAX, TokenVerifier
from broker.core.model import Principal
from broker.crypto.public_key import public_key
from broker.crypto.shared_secret import secret_key
from broker.crypto.verification_key import VerificationKey
from broker.errors import MalformedRequestError, UnauthenticatedError
from broker.settings import SettingsError
from broker.settings.token_rules import TokenRules

from .minting import (
    ED448,
    ED25519,
    NOW,
    P256,
    P384,
    RSA,
    SECRET,
    USER,
    PrivateKey,
    b64,
    bearer,
    der,
    emsa,
    es256,
    hs,
    mint,
    pem,
    rs256,
    rsa_pem,
    verifier,
)

ELSEWHERE = {
    "T28": "the published vectors are a suite of their own, test_published_vectors.py",
    "T33": "there are no one-time tokens",
}
"""Rows without a test here, and the reason."""

HS = verifier()
RS = verifier(RSA, "RS256")
ES = verifier(P256)
ED = verifier(ED25519)
STRICT = verifier(issuer="https://id.example/a", audience="broker", typ="at+jwt")
AT = {"alg": "HS256", "typ": "at+jwt"}
MEMBER = {**USER, "iss": "https://id.example/a", "aud": "broker"}

MALLORY = rsa.generate_private_key(65537, 2048)
MALLORY_EC = ec.generate_private_key(ec.SECP256R1())
GOOD = mint()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group: SEC 2 section 2.4.2
L = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's: RFC 8032 section 5.1

Attack = tuple[str, TokenVerifier, str]


def user(**changed: Any) -> dict[str, Any]:
    """Return the claims of a user with some changed."""
    return {**USER, **changed}


def plus(member: str) -> str:
    """Return the claims of a user as JSON with one member added, which may replace ``exp`` or ``sub``."""
    kept = {name: value for name, value in USER.items() if not member.startswith(f'"{name}"')}
    return json.dumps(kept)[:-1] + f", {member}}}"


def jwk(key: PrivateKey) -> dict[str, Any]:
    """Return the public key as a JWK by PyJWT."""
    if isinstance(key, rsa.RSAPrivateKey):
        return jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)


def algorithms_and_signatures() -> Iterator[Attack]:
    """T01 to T07."""
    for spelling in ("none", "None", "NONE", "nOnE", "NoNe"):
        token = mint(header={"alg": spelling})
        yield f"T01-{spelling}", HS, token.rpartition(".")[0] + "."
        yield f"T01-{spelling}-with-a-signature", HS, token
        yield f"T01-{spelling}-for-a-public-key", RS, token
    head, payload, signature = GOOD.split(".")
    data = base64.urlsafe_b64decode(signature + "=")
    yield "T02-empty-signature", HS, f"{head}.{payload}."
    yield "T02-no-signature", HS, f"{head}.{payload}"
    yield "T02-a-byte-cut", HS, f"{head}.{payload}.{b64(data[:-1])}"
    yield "T02-a-byte-more", HS, f"{head}.{payload}.{b64(data + b'0')}"
    yield "T02-a-bit-flipped", HS, f"{head}.{payload}.{b64(data[:-1] + bytes([data[-1] ^ 1]))}"
    yield "T02-another-user's-payload", HS, f"{head}.{b64(json.dumps(user(sub='u2')).encode())}.{signature}"
    yield "T03-blank-key", HS, mint(sign=hs(b""))
    yield "T03-null-byte-key", HS, mint(sign=hs(b"\0"))
    for name, mode, key in (("RS256", RS, RSA), ("ES256", ES, P256), ("EdDSA", ED, ED25519)):
        yield from ((f"T04-{name}-{form}", mode, mint(sign=hs(data))) for form, data in public_forms(key))
    only_256, rs_256 = verifier(SECRET, "HS256"), {"alg": "RS256"}
    yield "T06-HS384", only_256, mint(sign=hs(SECRET.encode(), "sha384"), header={"alg": "HS384"})
    yield "T06-HS512", only_256, mint(sign=hs(SECRET.encode(), "sha512"), header={"alg": "HS512"})
    yield "T06-RS256-for-a-secret", HS, mint(sign=rs256(RSA), header=rs_256)
    for algorithm, signer in (("RS384", RSA), ("PS256", RSA), ("ES384", P384), ("EdDSA", ED25519)):
        yield f"T06-{algorithm}", RS, jwt.encode(USER, signer, algorithm)
    yield "T06-ES256K", RS, jwt.encode(USER, ec.generate_private_key(ec.SECP256K1()), "ES256K")
    for alg in ("null", "5", "true", '""', '"hs256"', '"HS256 "', '["HS256"]', '{"a":1}'):
        yield f"T07-{alg}", HS, mint(header=f'{{"alg":{alg}}}')
    yield "T07-missing", HS, mint(header='{"typ":"JWT"}')


def public_forms(key: PrivateKey) -> Iterator[tuple[str, bytes]]:
    """Yield each form of a public key that an attacker would use as a secret."""
    lines = pem(key).splitlines()
    yield "PEM", pem(key).encode()
    yield "PEM-without-its-last-line-feed", pem(key).strip().encode()
    yield "PEM-stripped", "\n".join(lines[1:-1]).encode()
    yield "PEM-in-one-line", "\\n".join(lines).encode()
    yield "DER", der(key)
    yield "base64-of-DER", base64.b64encode(der(key))
    yield "JWK", json.dumps(jwk(key)).encode()


def headers() -> Iterator[Attack]:
    """T08 to T13, T15 and T32."""
    deep = "[" * 2000 + "]" * 2000
    broken = ("[]", "null", "x", '{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"none"}', '{"alg":"HS256"}x')
    yield from ((f"T08-{header}", HS, mint(header=header)) for header in broken)
    yield "T08-nested", HS, mint(header=f'{{"alg":"HS256","x":{deep}}}')
    yield "T08-nested-17-levels", HS, mint(header=f'{{"alg":"HS256","x":{"[" * 16}{"]" * 16}}}')
    yield "T08-UTF-16", HS, mint(header='{"alg":"HS256"}'.encode("utf-16"))
    yield "T08-BOM", HS, mint(header=b'\xef\xbb\xbf{"alg":"HS256"}')
    for typ in ("logout+jwt", "dpop+jwt", "secevent+jwt", "JWT", "", "x/at+jwt", "application/application/at+jwt"):
        yield f"T09-{typ}", STRICT, mint(MEMBER, header={**AT, "typ": typ})
    yield "T09-no-typ", STRICT, mint(MEMBER)
    yield from ((f"T09-{typ}", HS, mint(header={**AT, "typ": typ})) for typ in (5, None, ["at+jwt"]))
    yield "T10-zip", HS, mint(header={"alg": "HS256", "zip": "DEF"})
    yield "T10-nested-token", HS, mint(GOOD, header={"alg": "HS256", "cty": "JWT"})
    yield "T10-cty-of-plain-claims", HS, mint(header={"alg": "HS256", "cty": "JWT"})
    yield "T10-five-parts", HS, GOOD + ".AAAA.AAAA"
    head, payload, signature = GOOD.split(".")
    yield "T10-JSON", HS, json.dumps({"protected": head, "payload": payload, "signature": signature})
    for crit in (["exp"], [], "b64", [1], ["b64"], ["x"]):
        yield f"T11-{crit}", HS, mint(header={"alg": "HS256", "crit": crit, "x": 1})
    yield "T11-b64-true", HS, mint(header={"alg": "HS256", "crit": ["b64"], "b64": True})
    for b64_value in (False, True, "false", None):
        yield f"T12-b64-{b64_value}", HS, mint(header={"alg": "HS256", "b64": b64_value})
    yield "T12-b64-false-and-crit", HS, mint(header={"alg": "HS256", "crit": ["b64"], "b64": False})
    yield "T12-detached", HS, f"{head}..{signature}"
    oct_key = b"mallory's very own secret of 32 bytes and more"
    for mode in (HS, RS):
        name = "secret" if mode is HS else "public-key"
        oct_jwk = {"kty": "oct", "k": b64(oct_key)}
        embedded = {"alg": "RS256", "jwk": jwk(MALLORY), "kid": "mallory"}
        chain = {"alg": "RS256", "x5c": [base64.b64encode(der(MALLORY)).decode()]}
        yield f"T13-oct-for-a-{name}", mode, mint(sign=hs(oct_key), header={"alg": "HS256", "jwk": oct_jwk})
        yield f"T13-RSA-for-a-{name}", mode, mint(sign=rs256(MALLORY), header=embedded)
        yield f"T13-x5c-for-a-{name}", mode, mint(sign=rs256(MALLORY), header=chain)
    ec_header = {"alg": "ES256", "jwk": jwk(MALLORY_EC)}
    yield "T13-EC", ES, mint(sign=es256(MALLORY_EC), header=ec_header)
    for kid in ("../../dev/null", "' UNION SELECT 'x", "|sleep 10", "http://127.0.0.1/"):
        yield f"T15-{kid}", HS, mint(sign=hs(b""), header={"alg": "HS256", "kid": kid})
    no_names: list[Any] = ["a\r\nb", "a\0b", "\u202e", "k" * 257, "", 5, None, []]
    yield from ((f"T15-{str(kid)[:9]!a}", HS, mint(header={"alg": "HS256", "kid": kid})) for kid in no_names)
    yield "T32-Ed25519", ED, mint(sign=ED25519.sign, header={"alg": "Ed25519"})
    yield "T32-ESP256", ES, mint(sign=es256(P256), header={"alg": "ESP256"})


def times() -> Iterator[Attack]:
    """T16 to T19."""
    exact = verifier(leeway=0)
    yield "T16-missing", HS, mint({"sub": "u1"})
    yield "T16-now", exact, mint(user(exp=NOW))
    yield from ((f"T16-{exp}", HS, mint(user(exp=exp))) for exp in (NOW - 3600, 0, -1, True, None))
    later = NOW + 600
    written = [f'"{later}"', f'" {later:_} "', '"١٨٠٠٠٠٠٦٠٠"', "[]", "{}", "NaN", "Infinity", "-Infinity", "1e400"]
    yield from ((f"T17-{exp}", HS, mint(plus(f'"exp":{exp}'))) for exp in written)
    yield "T17-5000-digits", HS, mint(plus('"exp":' + "9" * 5000))
    yield "T18-100-years", HS, mint(user(exp=NOW + 100 * 365 * 86_400))
    yield "T18-1e30", HS, mint(plus('"exp":1e30'))
    yield "T18-10^4000", HS, mint(plus('"exp":1' + "0" * 4000))
    wrong: tuple[Any, ...] = (NOW + 31, "1", "null", True, False, -5, "x", [], [None], {}, 10**400)
    for name in ("nbf", "iat"):
        yield from ((f"T19-{name}-{str(value)[:9]}", HS, mint(user(**{name: value}))) for value in wrong)
        yield f"T19-{name}-NaN", HS, mint(plus(f'"{name}":NaN'))


def parties() -> Iterator[Attack]:
    """T20 to T22."""
    yield "T20-missing", STRICT, mint({**USER, "iss": "https://id.example/a"}, header=AT)
    for aud in (
        [],
        "other",
        ["other"],
        {"broker": 1},
        [1, "broker"],
        "BROKER",
        "brokerx",
        None,
        [["broker"]],
        "broker ",
    ):
        yield f"T20-{aud}", STRICT, mint({**MEMBER, "aud": aud}, header=AT)
    yield "T21-missing", STRICT, mint({**USER, "aud": "broker"}, header=AT)
    good = "https://id.example/a"
    for iss in ([good], good + "/", good[:-1], good[:-1] + "b", "", None, good.upper()):
        yield f"T21-{iss}", STRICT, mint({**MEMBER, "iss": iss}, header=AT)
    paths = ["", ".", "..", "../u2", "u1/../u2", "u1/./u2", "%2e%2e", "%2E%2e/u2", "u1%2f..%2fu2", "%252e%252e", "a\\b"]
    paths += ["..%5cu2", "%c0%ae%c0%ae", "a\0b", "a%00b", "a\nb", "\ud800", "a\u202eb", "a\u200bb", "\ufeffu1"]
    blank = [" ", "   ", "%20", "%20 %20", "%2520"]
    subjects: list[Any] = [*paths, *blank, "x" * 256, "é" * 128, 1.5, 5.0, True, False, None, {}, ["u1"], [5]]
    subjects += [-1, 2**64, 10**255, 10**4000]
    yield from ((f"T22-{str(sub)[:12]!a}", HS, mint(user(sub=sub))) for sub in subjects)
    yield from ((f"T22-{sub}", HS, mint(plus(f'"sub":{sub}'))) for sub in ("1e2", "42.0", "-0.0", "9" * 5000))
    yield "T22-missing", HS, mint({"exp": NOW + 600})


def encodings() -> Iterator[Attack]:
    """T23 to T27."""
    for size in (AUTHORIZATION_MAX + 1, 2**16, 2**20, 2**23):
        padded = mint(sign=hs(b"wrong"), header={"alg": "HS256", "x": "x" * (size * 3 // 4)})
        yield f"T23-{size}", HS, padded[: size - len("Bearer ")]
    yield "T23-with-a-good-signature", HS, mint(user(x="x" * AUTHORIZATION_MAX))
    yield "T24-sub-twice", HS, mint('{"sub":"u1","exp":1800000600,"sub":"u2"}')
    yield "T24-exp-twice", HS, mint('{"sub":"u1","exp":1,"exp":1800000600}')
    yield "T24-escaped", HS, mint('{"sub":"u1","exp":1800000600,"\\u0073ub":"u2"}')
    yield "T24-inside", HS, mint('{"sub":"u1","exp":1800000600,"x":[{"a":1,"a":2}]}')
    text = json.dumps(USER)
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        yield f"T25-{encoding}", HS, mint(text.encode(encoding))
    yield "T25-a-Latin-1-byte", HS, mint(json.dumps(user(name="@")).encode().replace(b"@", b"\xe9"))
    yield from ((f"T25-{payload}", HS, mint(payload)) for payload in ("[1]", "null", "x", '"x"', "{", "{}{}"))
    for levels in (16, 900, 2500):
        yield f"T25-{levels}-lists", HS, mint(plus(f'"x":{"[" * levels}{"]" * levels}'))
    head, payload, signature = GOOD.split(".")
    around = {
        "space-before": " {}",
        "space-after": "{} ",
        "line-feed": "{}\n",
        "NUL": "{}\0",
        "dot": "{}.",
        "first-dot": ".{}",
    }
    yield from ((f"T26-{name}", HS, form.format(GOOD)) for name, form in around.items())
    yield "T26-fullwidth-dot", HS, f"{head}\uff0e{payload}.{signature}"
    yield "T26-é", HS, f"{head}.{payload}é.{signature}"
    yield "T26-Bearer-twice", HS, f"Bearer {GOOD}"
    yield "T26-padding", HS, f"{GOOD}="
    yield "T26-standard-alphabet", HS, f"{head}.{payload}.{signature[:-1]}+"
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    yield "T26-other-unused-bits", HS, GOOD[:-1] + last[last.index(GOOD[-1]) + 1]
    yield "T27-zero-signature", ES, mint(sign=lambda _: bytes(64), header={"alg": "ES256"})
    yield "T27-DER", ES, mint(sign=lambda m: P256.sign(m, ec.ECDSA(hashes.SHA256())), header={"alg": "ES256"})
    yield "T27-S+L", ED, mint(sign=lambda m: plus_order(ED25519.sign(m)), header={"alg": "EdDSA"})
    yield "T27-EdDSA-of-another-curve", ED, mint(sign=ED448.sign, header={"alg": "EdDSA"})


def plus_order(signature: bytes) -> bytes:
    """Return an equivalent signature for a verifier that does not check that S is below L."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + L).to_bytes(32, "little")


def other_tokens() -> Iterator[Attack]:
    """T30: the right issuer's signature under a token that was made for something else."""
    yield "T30-ID-token", STRICT, mint({**MEMBER, "aud": "web-client", "nonce": "n"}, header={**AT, "typ": "JWT"})
    yield "T30-refresh-token", STRICT, mint({**MEMBER, "aud": "https://id.example/a"}, header={**AT, "typ": "refresh"})
    yield "T30-another-service's", STRICT, mint({**MEMBER, "aud": "billing"}, header=AT)


ATTACKS = [
    attack
    for group in (algorithms_and_signatures, headers, times, parties, encodings, other_tokens)
    for attack in group()
]


FORM, SIGNATURE, ALGORITHM = (
    "the token is not in compact form",
    "the signature does not verify",
    "the algorithm is not allowed",
)
HEADER, PAYLOAD = "the header is not a strict JSON object", "the payload is not a strict JSON object"
CHANGED = "the header has an unsupported parameter"
REASONS = {
    "T01": {FORM, ALGORITHM},
    "T02": {FORM, SIGNATURE},
    "T03": {SIGNATURE},
    "T04": {ALGORITHM},
    "T06": {ALGORITHM},
    "T07": {ALGORITHM},
    "T08": {HEADER},
    "T09": {"the typ does not match", "the typ is not a string"},
    "T10": {CHANGED, FORM},
    "T11": {CHANGED},
    "T12": {CHANGED, FORM},
    "T13": {ALGORITHM, SIGNATURE},
    "T15": {SIGNATURE, "the kid is empty, too long or not a printable string"},
    "T16": {"exp is missing", "exp is not a timestamp", "the token has expired"},
    "T17": {"exp is not a timestamp", PAYLOAD},
    "T18": {"the lifetime of the token is too long"},
    "T19": {
        "the token is not valid yet",
        "the token was issued in the future",
        "nbf is not a timestamp",
        "iat is not a timestamp",
        PAYLOAD,
    },
    "T20": {"the audience does not match", "aud is not a string or an array of strings"},
    "T21": {"the issuer does not match"},
    "T22": {
        "the subject is empty, too long or of a wrong type",
        "the subject is a path",
        "the subject is not printable",
        "the subject is blank",
        PAYLOAD,
    },
    "T23": {"the Authorization field is too long"},
    "T24": {PAYLOAD},
    "T25": {PAYLOAD},
    "T26": {FORM, SIGNATURE},
    "T27": {SIGNATURE},
    "T30": {"the typ does not match", "the audience does not match"},
    "T32": {ALGORITHM},
}
"""The reasons in the log, which are fixed phrases without any content of a token."""


@pytest.mark.parametrize(("row", "mode", "token"), [pytest.param(*attack, id=attack[0]) for attack in ATTACKS])
def test_forged_tokens(row: str, mode: TokenVerifier, token: str) -> None:
    """A forged token is refused with the same response and the right reason, and a valid one passes after it."""
    with pytest.raises(UnauthenticatedError) as refused:
        mode.verify(bearer(token), now=NOW)

    assert refused.value.detail == "A valid bearer token is required in the Authorization header field."
    assert refused.value.reason in REASONS[row[:3]]
    assert HS.verify(bearer(GOOD), now=NOW) == Principal("u1")


def test_catalogue() -> None:
    """Each row of the catalogue has a test here or a reason for having none."""
    here = {attack[0][:3] for attack in ATTACKS}
    named = {name[5:8].upper() for name in globals() if name.startswith("test_t")}
    assert here | named | ELSEWHERE.keys() >= {f"T{number:02}" for number in range(1, 34)}


WEAK = {
    "empty": "",
    "31-bytes": SECRET[:31],
    "PEM": pem(RSA),
    "base64-of-DER": base64.b64encode(der(P256)).decode(),
    "JWK": json.dumps(jwk(ED25519)),
    "common": "your-256-bit-secret-must-be-at-least-32-characters",
}


@pytest.mark.parametrize("name", WEAK, ids=[f"T05-{name}" for name in WEAK])
def test_t05_weak_secrets(name: str) -> None:
    """A weak secret is refused at start."""
    with pytest.raises(ValueError, match=r"^must "):
        secret_key(WEAK[name])


@pytest.mark.parametrize("mixed", [["HS256", "RS256"], ["RS256", "HS256"], ["none"], ["HS256", "none"]])
def test_t05_mixed_families(mixed: list[str]) -> None:
    """Algorithms of another family are refused for a key."""
    with pytest.raises(ValueError, match="verifies no other algorithms than HS256, HS384, HS512"):
        secret_key(SECRET, mixed)
    with pytest.raises(ValueError, match="verifies no other algorithms than RS256, RS384"):
        public_key(pem(RSA), mixed)


def test_t05_forgery_for_exponent_1() -> None:
    """A genuine signature, raised to the public exponent, equals the forged one for exponent 1."""
    numbers = RSA.public_key().public_numbers()
    opened = pow(int.from_bytes(rs256(RSA)(b"message")), numbers.e, numbers.n)
    assert opened == int.from_bytes(emsa(b"message"))


WEAK_PEM = rsa_pem(RSA.public_key().public_numbers().n, 1)
WEAK_RSA = {
    "PEM": WEAK_PEM,
    "PEM in one line": WEAK_PEM.replace("\n", "\\n"),
    "JWK": json.dumps({**jwk(RSA), "e": "AQ"}),
}


@pytest.mark.parametrize("name", WEAK_RSA)
def test_t05_rsa_exponent_1(name: str) -> None:
    """A public key with exponent 1 is a fault of ``JWT_PUBLIC_KEY`` in PEM and in JWK form."""
    with pytest.raises(SettingsError, match=r"^JWT_PUBLIC_KEY must ") as refused:
        settings.parse({"JWT_PUBLIC_KEY": WEAK_RSA[name]})
    assert len(refused.value.faults) == 1


@pytest.mark.parametrize("parameter", ["jku", "x5u", "kid"])
def test_t14_urls_are_not_fetched(parameter: str) -> None:
    """No URL in a header is fetched."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
        for alg, mode in (("HS256", HS), ("RS256", RS)):
            with pytest.raises(UnauthenticatedError):
                mode.verify(bearer(mint(sign=rs256(MALLORY), header={"alg": alg, parameter: url})), now=NOW)
        good = mint(header={"alg": "HS256", parameter: url})

        assert HS.verify(bearer(good), now=NOW) == Principal("u1")
        with pytest.raises(BlockingIOError):
            listener.accept()


NONE, SCHEME = "the Authorization field is missing", "the scheme is not Bearer"
FIELDS: dict[str, tuple[Sequence[str], str]] = {
    "none": ([], NONE),
    "empty": ([""], NONE),
    "Bearer": (["Bearer"], FORM),
    "Bearer-and-a-space": (["Bearer "], FORM),
    "two-spaces": ([f"Bearer  {GOOD}"], FORM),
    "tab": ([f"Bearer\t{GOOD}"], SCHEME),
    "token-alone": ([GOOD], SCHEME),
    "Basic": (["Basic dTE6cGFzc3dvcmQ="], SCHEME),
    "another-scheme": ([f"DPoP {GOOD}"], SCHEME),
    "two-in-one": ([f"Bearer {GOOD}, Bearer {GOOD}"], FORM),
}


@pytest.mark.parametrize(("fields", "reason"), FIELDS.values(), ids=[f"T29-{name}" for name in FIELDS])
def test_t29_other_fields(fields: Sequence[str], reason: str) -> None:
    """Another form of the Authorization field is refused with its reason."""
    with pytest.raises(UnauthenticatedError) as refused:
        HS.verify(fields, now=NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_t29_scheme_case(scheme: str) -> None:
    """The scheme is accepted in any case."""
    assert HS.verify([f"{scheme} {GOOD}"], now=NOW) == Principal("u1")


@pytest.mark.parametrize("second", [f"Bearer {GOOD}", "", "Basic eDp5"])
def test_t29_two_fields(second: str) -> None:
    """Two Authorization fields are a malformed request."""
    for fields in ([f"Bearer {GOOD}", second], [second, f"Bearer {GOOD}"]):
        with pytest.raises(MalformedRequestError, match="more than one Authorization header field"):
            HS.verify(fields, now=NOW)


def test_t27_ecdsa_malleability() -> None:
    """The signature (r, n - s) verifies like (r, s), so a token's text must never key a deny-list."""

    def other_half(message: bytes) -> bytes:
        r, s = decode_dss_signature(P256.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + (ORDER - s).to_bytes(32)

    assert ES.verify(bearer(mint(sign=other_half, header={"alg": "ES256"})), now=NOW) == Principal("u1")


@pytest.mark.parametrize(
    "scope", [{}, {"scope": "openid profile"}, {"azp": "backend", "gty": "client-credentials"}], ids=str
)
def test_t30_no_service_scope(scope: dict[str, Any]) -> None:
    """A token without the service scope is not a service's."""
    principal = STRICT.verify(bearer(mint({**MEMBER, **scope}, header=AT)), now=NOW)
    assert principal == Principal("u1", is_service=False)


def test_t31_no_state_in_verify() -> None:
    """``verify`` has no state: expired, changed and foreign tokens are refused after a valid one."""
    for _ in range(2):
        assert HS.verify(bearer(GOOD), now=NOW) == Principal("u1")
    with pytest.raises(UnauthenticatedError):
        HS.verify(bearer(GOOD), now=NOW + 3600)
    with pytest.raises(UnauthenticatedError):
        HS.verify(bearer(GOOD[:-2] + "AA"), now=NOW)
    with pytest.raises(UnauthenticatedError):
        verifier("the secret that came after the other, with as many bytes").verify(bearer(GOOD), now=NOW)


def test_t04_key_of_another_family() -> None:
    """A key that is bound to an algorithm of another family is an error."""
    for algorithm in ("HS256", "ES256", "EdDSA"):
        with pytest.raises((TypeError, jwt.PyJWTError, ValueError)):
            TokenVerifier(TokenRules(VerificationKey(RSA.public_key(), (algorithm,))))
