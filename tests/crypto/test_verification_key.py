"""Keys that verify bearer tokens: which are accepted, for which algorithms, and errors without their values."""

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from broker.crypto.public_key import public_key
from broker.crypto.shared_secret import secret_key
from broker.crypto.verification_key import VerificationKey
from broker.settings.token_rules import TokenRules
from tests.auth.minting import rsa_pem

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey | X25519PrivateKey

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = Ed25519PrivateKey.generate()
ED448 = Ed448PrivateKey.generate()
ALL_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
SECRET = "o/cwFuOiVvIr5d4qSfEyi0nFzm2qVAv7cgGfQjEFxRr6Y9lxgz0jbyUO1hJ2nXo5"

TOO_SHORT = "must have at least 32 bytes"
IS_KEY = "must be a secret, not a key in PEM, SSH, DER, base64 or JWK form"
REPEATS = "must be random: it repeats itself"
FEW = "must be random: it has fewer than 8 different characters"
EXAMPLE = "must not be an example or a placeholder"
NOT_TEXT = "must be UTF-8 text"
SHORT_FOR_HASH = "must have at least 48 bytes for HS384 and 64 for HS512"
NOT_PUBLIC = "must be a public key, not a secret one"
NO_KEY = "must be one public key in PEM or JWK form: RSA, P-256, P-384, P-521, Ed25519 or Ed448"
BITS = "must have 2048 to 8192 bits"
EXPONENT = "must have an odd exponent of at least 3, below its modulus"
KIND = "must have RSA, EC or OKP as its kty"
CURVE = "must have a crv among P-256, P-384, P-521"
EDWARDS_CURVE = "must have a crv among Ed25519, Ed448"
POINT = "must have x and y of a point on its curve"
SMALL_ORDER = "must not be of small order: anybody could sign for it"
OPERATIONS = "must have verify among its key_ops"
USE = "must have sig as its use"
NO_JSON = "must be one JSON document in UTF-8"
TWICE = "must not contain duplicate keys"
RULES = {TOO_SHORT, IS_KEY, REPEATS, FEW, EXAMPLE, NOT_TEXT, SHORT_FOR_HASH, NOT_PUBLIC, NO_KEY, BITS}
RULES |= {EXPONENT, SMALL_ORDER, OPERATIONS, USE, NO_JSON, TWICE, KIND, CURVE, EDWARDS_CURVE, POINT}


def base64url(name: str) -> str:
    """Return the rule for the encoding of a member."""
    return f"must have {name} in base64url without padding"


def sized(name: str, size: int) -> str:
    """Return the rule for the length of a coordinate or an Edwards key."""
    return f"must have {name} of {size} bytes, leading zeros included"


RULES |= {base64url(name) for name in "nexy"}
RULES |= {sized(name, size) for name in "xy" for size in (32, 48, 57, 66)}


def pem(key: PrivateKey) -> str:
    """Return the public half of ``key``."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def der(key: PrivateKey) -> bytes:
    """Return the public half of ``key``."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def private(key: PrivateKey, encoding: Encoding, encryption: KeySerializationEncryption | None = None) -> bytes:
    """Return the private ``key``."""
    return key.private_bytes(encoding, PrivateFormat.PKCS8, encryption or NoEncryption())


def certificate(encoding: Encoding) -> bytes:
    """Return a self-signed certificate."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, P256.public_key(), 1, start, start + dt.timedelta(days=1))
    return builder.sign(P256, hashes.SHA256()).public_bytes(encoding)


def jwk(key: PrivateKey, *, whole: bool = False, **members: Any) -> dict[str, Any]:
    """By PyJWT: the public half unless the whole is wanted."""
    half: Any = key if whole else key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        found = jwt.algorithms.RSAAlgorithm.to_jwk(half, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        found = jwt.algorithms.ECAlgorithm.to_jwk(half, as_dict=True)
    else:
        found = jwt.algorithms.OKPAlgorithm.to_jwk(half, as_dict=True)
    return found | members


def b64(number: int) -> str:
    """Return a number in the form of a JWK."""
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).decode().rstrip("=")


def wrapped(data: bytes, label: str) -> str:
    """PEM (RFC 7468) of any bytes."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(data).decode()}-----END {label}-----\n"


def unknown(key: bytes) -> bytes:
    """Return the DER of an Ed25519 key with an unknown object identifier."""
    return key.replace(bytes.fromhex("06032b6570"), bytes.fromhex("06032a0304"))


def refusal(make: Callable[..., VerificationKey], text: str, algorithms: Sequence[str] = ()) -> str:
    """Return the text of the error, which is that of a rule and has no cause."""
    with pytest.raises(ValueError, match=r"^(must|verifies) ") as refused:
        make(text, algorithms)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    return str(refused.value)


# Secrets


@pytest.mark.parametrize(
    ("size", "algorithms"),
    [
        (32, ("HS256",)),
        (47, ("HS256",)),
        (48, ("HS256", "HS384")),
        (63, ("HS256", "HS384")),
        (64, ("HS256", "HS384", "HS512")),
    ],
)
def test_the_length_of_a_secret_decides_its_algorithms(size: int, algorithms: tuple[str, ...]) -> None:
    """A secret verifies every HMAC algorithm for which it is long enough."""
    assert secret_key(SECRET[:size]) == VerificationKey(SECRET[:size].encode(), algorithms)


def test_named_algorithms_narrow_those_of_a_secret() -> None:
    """A secret with named algorithms verifies only these."""
    assert secret_key(SECRET, ["HS512", "HS256"]).algorithms == ("HS256", "HS512")


@pytest.mark.parametrize(("size", "algorithm"), [(47, "HS384"), (63, "HS512"), (32, "HS512")])
def test_a_secret_must_fit_its_algorithms(size: int, algorithm: str) -> None:
    """A secret that is too short for a named algorithm is refused."""
    assert refusal(secret_key, SECRET[:size], ["HS256", algorithm]) == SHORT_FOR_HASH


@pytest.mark.parametrize("algorithm", ["RS256", "none", "None", "hs256", "HS1", "", "EdDSA"])
def test_a_secret_verifies_only_hmac(algorithm: str) -> None:
    """A named algorithm that is not an HMAC is refused for a secret."""
    expected = "verifies no other algorithms than HS256, HS384, HS512"
    assert refusal(secret_key, SECRET, ["HS256", algorithm]) == expected


SECRETS = [
    ("empty", "", TOO_SHORT),
    ("31 bytes", SECRET[:31], TOO_SHORT),
    ("31 characters of a byte and 15 of two", "é" * 15 + "x", TOO_SHORT),
    ("surrogate", SECRET + "\udcff", NOT_TEXT),
    ("PEM", pem(RSA), IS_KEY),
    ("PEM in one line", pem(P256).replace("\n", "\\n"), IS_KEY),
    ("PEM cut", pem(RSA)[:100], IS_KEY),
    ("PEM of a private key", private(P256, Encoding.PEM).decode(), IS_KEY),
    ("PEM of a certificate", certificate(Encoding.PEM).decode(), IS_KEY),
    ("SSH", P256.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), IS_KEY),
    ("base64 of DER", base64.b64encode(der(RSA)).decode(), IS_KEY),
    ("base64 of DER in lines", "\n".join(pem(RSA).splitlines()[1:-1]), IS_KEY),
    ("base64 of DER with escaped line feeds", "\\n".join(pem(RSA).splitlines()[1:-1]), IS_KEY),
    ("base64url of DER", base64.urlsafe_b64encode(der(ED25519)).decode().rstrip("="), IS_KEY),
    ("base64 of a certificate", base64.b64encode(certificate(Encoding.DER)).decode(), IS_KEY),
    ("base64 of a private key", base64.b64encode(private(ED25519, Encoding.DER)).decode(), IS_KEY),
    (
        "base64 of a locked private key",
        base64.b64encode(private(P256, Encoding.DER, BestAvailableEncryption(b"x"))).decode(),
        IS_KEY,
    ),
    (
        "base64 of a private key of no known kind",
        base64.b64encode(unknown(private(ED25519, Encoding.DER))).decode(),
        IS_KEY,
    ),
    ("base64 of PEM", base64.b64encode(pem(P256).encode()).decode(), IS_KEY),
    ("JWK", json.dumps(jwk(P256)), IS_KEY),
    ("JWK of the secret", json.dumps({"kty": "oct", "k": SECRET}), IS_KEY),
    ("JWK set", json.dumps({"keys": [jwk(ED25519)]}), IS_KEY),
    ("base64 of a JWK", base64.b64encode(json.dumps(jwk(RSA)).encode()).decode(), IS_KEY),
    ("one character", "a" * 64, REPEATS),
    ("a word again and again", "correct-horse!" * 4, REPEATS),
    ("digits again and again", "0192837465" * 3 + "01", REPEATS),
    ("16 random bytes twice", "5f0e9a1c2b7d4836" * 2, REPEATS),
    ("7 characters", "aabcdefgaacbdgfeaacbdgfeagcbdafeb", FEW),
    ("jwt.io", "a-string-secret-at-least-256-bits-long", EXAMPLE),
    ("jwt.io, HS512", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long", EXAMPLE),
    ("Supabase", "super-secret-jwt-token-with-at-least-32-characters-long", EXAMPLE),
    ("JamSync's example", "your-super-secret-jwt-key-change-in-production", EXAMPLE),
    ("JamSync's fallback", "fallback-secret-do-not-use-in-prod", EXAMPLE),
    ("FastAPI", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", EXAMPLE),
    ("Spring", "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970", EXAMPLE),
    ("RFC 7515", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", EXAMPLE),
    ("change me", "Please_CHANGE.ME!_0123 before you go live", EXAMPLE),
    ("the alphabet", "abcdefghijklmnopqrstuvwxyz0123456789", EXAMPLE),
]


@pytest.mark.parametrize(("text", "rule"), [pytest.param(*row[1:], id=row[0]) for row in SECRETS])
def test_a_weak_secret_is_refused(text: str, rule: str) -> None:
    """A weak secret is refused with the rule that it breaks."""
    assert refusal(secret_key, text) == rule


@given(st.integers(0, 2**64), st.sampled_from([24, 32, 48, 64]))
def test_a_random_secret_is_accepted(seed: int, size: int) -> None:
    """A random secret is accepted in every common spelling."""
    data = hashlib.shake_256(str(seed).encode()).digest(size)
    for text in (data.hex(), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        assert secret_key(text).material == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "an end-to-end phrase of four dozen letters, made up",
        "Дом на холме, где живёт старый смотритель маяка",
        "!@#$%^&*()_+-=[]{}|;':,./<>?~`!!@@##$$%%",
        '{"a": "JSON object that is no key at all"}',
        "abcdefhg" + "hgfedbca" * 2 + "badcfehg",
        "13579 24680 97531 08642 would do, being long",
    ],
)
def test_a_long_phrase_is_accepted(text: str) -> None:
    """A long phrase in any alphabet is accepted as a secret."""
    assert secret_key(text).material == text.encode()


# Public keys


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (RSA, ALL_RSA),
        (rsa.generate_private_key(3, 2048), ALL_RSA),
        (P256, ("ES256",)),
        (ec.generate_private_key(ec.SECP384R1()), ("ES384",)),
        (ec.generate_private_key(ec.SECP521R1()), ("ES512",)),
        (ED25519, ("EdDSA",)),
        (ED448, ("EdDSA",)),
    ],
    ids=["RSA", "RSA-e3", "P-256", "P-384", "P-521", "Ed25519", "Ed448"],
)
def test_the_kind_of_a_key_decides_its_algorithms(key: PrivateKey, algorithms: tuple[str, ...]) -> None:
    """A public key in any form verifies the algorithms of its kind."""
    expected = VerificationKey(key.public_key(), algorithms)  # type: ignore[arg-type]  # X25519 is not among these
    for text in (
        pem(key),
        f"\n{pem(key)}\n",
        pem(key).replace("\n", "\\n"),
        json.dumps(jwk(key)),
        f" {json.dumps(jwk(key))}",
    ):
        assert public_key(text) == expected


def test_the_older_pem_of_rsa_is_read() -> None:
    """The older PEM form of an RSA public key is read."""
    text = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    assert public_key(text).algorithms == ALL_RSA


def test_an_rsa_key_may_have_8192_bits() -> None:
    """An RSA key of 8192 bits is accepted."""
    assert public_key(rsa_pem(1 << 8191 | 1, 65537)).algorithms == ALL_RSA


def test_named_algorithms_narrow_those_of_a_key() -> None:
    """A public key with named algorithms verifies only these."""
    assert public_key(pem(RSA), ["PS256", "RS256"]).algorithms == ("RS256", "PS256")


def test_the_alg_of_a_jwk_narrows_its_algorithms() -> None:
    """A JWK with an alg verifies only this algorithm."""
    text = json.dumps(jwk(RSA, alg="PS256", use="sig", key_ops=["verify"], kid="1"))
    assert public_key(text).algorithms == ("PS256",)
    assert public_key(text, ["PS256"]).algorithms == ("PS256",)
    assert refusal(public_key, text, ["RS256"]) == "verifies no other algorithms than PS256"


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES256", "rs256", "RS1", ""])
def test_a_public_key_verifies_only_its_kind(algorithm: str) -> None:
    """A named algorithm of another kind is refused for a public key."""
    expected = f"verifies no other algorithms than {', '.join(ALL_RSA)}"
    assert refusal(public_key, pem(RSA), ["RS256", algorithm]) == expected


@pytest.mark.parametrize("alg", ["HS256", "none", "ES384", "RS256", "Ed25519", None, 5, ["ES256"], ""], ids=str)
def test_the_alg_of_a_jwk_must_fit(alg: Any) -> None:
    """A JWK with an alg of another kind is refused."""
    assert refusal(public_key, json.dumps(jwk(P256, alg=alg))) == "must have an alg among ES256"


def jwk_text(key: PrivateKey = P256, **members: Any) -> str:
    """Return a JWK with changed members as text."""
    return json.dumps(jwk(key, **members))


MODULUS = RSA.public_key().public_numbers().n

PUBLIC = [
    ("empty", "", NO_KEY),
    ("text", "not a key", NO_KEY),
    ("surrogates", "\udcff", NO_KEY),
    ("a PEM that holds nothing", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", NO_KEY),
    ("a PEM cut", pem(RSA)[:200], NO_KEY),
    ("two keys", pem(RSA) + pem(P256), NO_KEY),
    ("a certificate", certificate(Encoding.PEM).decode(), NO_KEY),
    ("a secret", SECRET, NO_KEY),
    ("DER in base64", base64.b64encode(der(RSA)).decode(), NO_KEY),
    ("an SSH key", P256.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), NO_KEY),
    ("X25519", pem(X25519PrivateKey.generate()), NO_KEY),
    ("P-224", pem(ec.generate_private_key(ec.SECP224R1())), NO_KEY),
    ("secp256k1", pem(ec.generate_private_key(ec.SECP256K1())), NO_KEY),
    ("brainpool", pem(ec.generate_private_key(ec.BrainpoolP256R1())), NO_KEY),
    ("a key of no known kind", wrapped(unknown(der(ED25519)), "PUBLIC KEY"), NO_KEY),
    ("a private key", private(RSA, Encoding.PEM).decode(), NOT_PUBLIC),
    ("a locked private key", private(P256, Encoding.PEM, BestAvailableEncryption(b"x")).decode(), NOT_PUBLIC),
    ("both halves", pem(P256) + private(P256, Encoding.PEM).decode(), NOT_PUBLIC),
    ("1024 bits", rsa_pem(1 << 1023 | 1, 65537), BITS),
    ("2047 bits", rsa_pem(1 << 2046 | 1, 65537), BITS),
    ("8193 bits", rsa_pem(1 << 8192 | 1, 65537), BITS),
    ("8193 bits in a JWK", json.dumps({"kty": "RSA", "n": b64(1 << 8192 | 1), "e": "AQAB"}), BITS),
    ("e is 1 in a JWK", json.dumps({"kty": "RSA", "n": b64(MODULUS), "e": "AQ"}), EXPONENT),
    ("e is even in a JWK", json.dumps({"kty": "RSA", "n": b64(MODULUS), "e": "AQAA"}), EXPONENT),
    ("empty JWK", "{}", KIND),
    ("JWK set", json.dumps({"keys": [jwk(P256)]}), KIND),
    ("cut JWK", "{", NO_JSON),
    ("JWK with a member twice", '{"kty":"EC",' + jwk_text()[1:], TWICE),
    ("JWK with a surrogate", '{"kid":"\udcff",' + jwk_text()[1:], NO_JSON),
    ("JWK nested", '{"x":' + "[" * 100_000 + "]" * 100_000 + "}", NO_JSON),  # more than any Python's parser goes down
    ("oct JWK", json.dumps({"kty": "oct", "k": SECRET}), NOT_PUBLIC),
    ("oct JWK without k", json.dumps({"kty": "oct"}), KIND),
    ("private RSA JWK", jwk_text(RSA, whole=True), NOT_PUBLIC),
    ("private EC JWK", jwk_text(P256, whole=True), NOT_PUBLIC),
    ("private Ed25519 JWK", jwk_text(ED25519, whole=True), NOT_PUBLIC),
    *(
        (f"JWK with {name}", jwk_text(RSA, **{name: "AQAB"}), NOT_PUBLIC)
        for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
    ),
    ("private member that is null", jwk_text(d=None), NOT_PUBLIC),
    ("JWK without x", json.dumps({"kty": "EC", "crv": "P-256", "y": "AA"}), base64url("x")),
    ("JWK without kty", json.dumps({"crv": "P-256", "x": "AA", "y": "AA"}), KIND),
    ("JWK on secp256k1", jwk_text(ec.generate_private_key(ec.SECP256K1())), CURVE),
    ("JWK on X25519", json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43}), EDWARDS_CURVE),
    ("JWK on P-192", jwk_text(crv="P-192"), CURVE),
    ("JWK of another curve's size", jwk_text(crv="P-384"), sized("x", 48)),
    ("JWK off the curve", jwk_text(x="A" * 43), POINT),
    ("JWK with a coordinate cut", jwk_text(x="AAAA"), sized("x", 32)),
    ("JWK with crv of another kind", jwk_text(crv=5), CURVE),
    ("JWK with n of another kind", jwk_text(RSA, n=5), base64url("n")),
    ("JWK in standard base64", json.dumps(jwk(RSA) | {"e": "AQAB=="}), base64url("e")),
    ("JWK with junk in base64", json.dumps(jwk(RSA) | {"e": "AQ!AB"}), base64url("e")),
    ("JWK whose e is its modulus", json.dumps(jwk(RSA) | {"e": jwk(RSA)["n"]}), EXPONENT),
    ("JWK with e of 1024 bytes", json.dumps(jwk(RSA) | {"e": b64(1 << 8191 | 1)}), EXPONENT),
    ("JWK with n in padded base64", json.dumps(jwk(RSA) | {"n": jwk(RSA)["n"] + "="}), base64url("n")),
    ("JWK with x in padded base64", json.dumps(jwk(P256) | {"x": jwk(P256)["x"] + "="}), base64url("x")),
    ("JWK with n in the standard alphabet", json.dumps(jwk(RSA) | {"n": "+/" + jwk(RSA)["n"]}), base64url("n")),
    ("JWK with a line break in n", json.dumps(jwk(RSA) | {"n": jwk(RSA)["n"] + "\n"}), base64url("n")),
    ("JWK with 31 bytes of x", json.dumps(jwk(P256) | {"x": "A" * 42}), sized("x", 32)),
    ("JWK with 33 bytes of x", json.dumps(jwk(P256) | {"x": "A" * 44}), sized("x", 32)),
    ("JWK with 31 bytes of y", json.dumps(jwk(P256) | {"y": "A" * 42}), sized("y", 32)),
    ("JWK of Ed25519 with 31 bytes", json.dumps(jwk(ED25519) | {"x": "A" * 42}), sized("x", 32)),
    ("JWK of Ed448 with 32 bytes", json.dumps(jwk(ED448) | {"x": "A" * 43}), sized("x", 57)),
    ("JWK with only a certificate", json.dumps({"kty": "RSA", "x5c": ["MIIB"]}), base64url("n")),
    ("JWK whose kty is a list", json.dumps(jwk(RSA) | {"kty": ["RSA"]}), KIND),
    ("JWK whose crv is a list", json.dumps(jwk(P256) | {"crv": ["P-256"]}), CURVE),
    ("JWK for encryption", jwk_text(use="enc"), USE),
    ("JWK for encryption with its alg", jwk_text(RSA, use="enc", alg="RSA-OAEP"), USE),
    (
        "JWK with the alg of an encryption",
        jwk_text(RSA, alg="RSA-OAEP"),
        f"must have an alg among {', '.join(ALL_RSA)}",
    ),
    ("JWK whose use is null", jwk_text(use=None), USE),
    ("JWK that encrypts", jwk_text(key_ops=["encrypt"]), OPERATIONS),
    ("JWK of no operation", jwk_text(key_ops=[]), OPERATIONS),
    ("JWK whose key_ops are text", jwk_text(key_ops="verify"), OPERATIONS),
]


@pytest.mark.parametrize(("text", "rule"), [pytest.param(*row[1:], id=row[0]) for row in PUBLIC])
def test_an_unsuitable_key_is_refused(text: str, rule: str) -> None:
    """A key that is weak, private, malformed or of another kind is refused with the rule that it breaks."""
    assert refusal(public_key, text) == rule


@pytest.mark.parametrize("exponent", [1, 2, 65536])
def test_a_weak_rsa_exponent_is_refused(exponent: int) -> None:
    """An RSA key with an even exponent, or with the exponent 1, is refused."""
    assert refusal(public_key, rsa_pem(MODULUS, exponent)) == NO_KEY


@pytest.mark.parametrize("exponent", [1, 2, 65536])
def test_a_weak_exponent_is_refused_after_loading(exponent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weak exponent is refused even if the library loads the key, as cryptography did before version 50."""
    numbers = {"public_numbers.return_value": rsa.RSAPublicNumbers(exponent, MODULUS)}
    loaded = Mock(spec=rsa.RSAPublicKey, **numbers)
    monkeypatch.setattr("broker.crypto.public_key.load_pem_public_key", lambda _: loaded)
    assert refusal(public_key, rsa_pem(MODULUS, exponent)) == EXPONENT


P25519 = 2**255 - 19
P448 = 2**448 - 2**224 - 1
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL = {
    "Ed25519": {"0": 0, "1": 1, "-1": P25519 - 1, "p": P25519, "p+1": P25519 + 1, "8": ORDER_8, "-8": P25519 - ORDER_8},
    "Ed448": {"0": 0, "1": 1, "-1": P448 - 1},
}
"""What y is at the points whose order divides the cofactor, with the two that Ed25519 can spell twice."""


def okp(curve: str, encoded: int) -> str:
    """Return an Edwards key of any bytes."""
    x = encoded.to_bytes(32 if curve == "Ed25519" else 57, "little")
    return json.dumps({"kty": "OKP", "crv": curve, "x": base64.urlsafe_b64encode(x).decode().rstrip("=")})


@pytest.mark.parametrize(
    ("curve", "y"),
    [pytest.param(curve, y, id=f"{curve} {name}") for curve in SMALL for name, y in SMALL[curve].items()],
)
def test_an_edwards_key_of_small_order_is_refused(curve: str, y: int) -> None:
    """An Edwards key for which anybody can sign is refused, with both signs of x."""
    sign = 1 << (255 if curve == "Ed25519" else 455)
    assert refusal(public_key, okp(curve, y)) == refusal(public_key, okp(curve, y | sign)) == SMALL_ORDER


@pytest.mark.parametrize("curve", SMALL)
def test_neighbours_of_weak_points_are_accepted(curve: str) -> None:
    """The points next to those of small order are accepted."""
    assert public_key(okp(curve, 3)).algorithms == public_key(okp(curve, 4)).algorithms == ("EdDSA",)


# Nothing of a value is told


texts = (
    st.text() | st.text(min_size=32) | st.text("{}[]\"'kty:od, ", min_size=32) | st.binary(min_size=32).map(bytes.hex)
)
pems = st.binary(max_size=100).map(lambda data: wrapped(data, "PUBLIC KEY"))
members = st.fixed_dictionaries(
    {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct"])},
    optional={
        "crv": st.sampled_from(["P-256", "P-521", "Ed25519", "Ed448"]) | st.text(),
        **{name: st.text("AZaz09-_=") | st.integers() | st.none() for name in ("n", "e", "x", "y", "d", "alg", "use")},
    },
)


@pytest.mark.parametrize("make", [secret_key, public_key])
@given(text=texts | pems | members.map(json.dumps))
def test_a_refusal_has_only_the_rule(make: Callable[[str], VerificationKey], text: str) -> None:
    """An error has exactly the text of a rule, so that no part of the value is in it."""
    try:
        make(text)
    except ValueError as error:
        words, chained = str(error), error.__context__
    else:
        return
    assert words in RULES or words.startswith("verifies no other algorithms than ")
    assert chained is None


def test_no_key_is_in_a_repr() -> None:
    """The repr of a key does not show it."""
    rules = TokenRules(secret_key(SECRET))
    expected = "VerificationKey(algorithms=('HS256', 'HS384', 'HS512'))"
    assert repr(rules.key) == expected
    assert expected in repr(rules)
