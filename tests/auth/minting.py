"""Tokens that no library makes, and new keys for each run."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from broker.auth.bearer import TokenVerifier
from broker.crypto.public_key import public_key
from broker.crypto.shared_secret import secret_key
from broker.settings.token_rules import TokenRules

Sign = Callable[[bytes], bytes]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey

NOW = 1_800_000_000
SECRET = "the verifier's own secret, of which no attacker knows a word but the length"
RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
ED25519 = Ed25519PrivateKey.generate()
ED448 = Ed448PrivateKey.generate()
USER = {"sub": "u1", "exp": NOW + 600}


def pem(key: PrivateKey) -> str:
    """Return the public key of ``key``."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def der(key: PrivateKey) -> bytes:
    """Return the public key of ``key``."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def rsa_pem(modulus: int, exponent: int) -> str:
    """Return an RSA public key (RFC 8017 appendix A.1.1) that no library would write."""

    def tlv(tag: int, value: bytes) -> bytes:
        size = len(value)
        length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2)
        return bytes([tag]) + length + value

    numbers = [tlv(2, n.to_bytes(n.bit_length() // 8 + 1)) for n in (modulus, exponent)]
    data = base64.encodebytes(tlv(0x30, b"".join(numbers))).decode()
    return f"-----BEGIN RSA PUBLIC KEY-----\n{data}-----END RSA PUBLIC KEY-----\n"


def b64(data: bytes) -> str:
    """Encode bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def hs(key: bytes, algorithm: str = "sha256") -> Sign:
    """Return a function that signs with HMAC."""
    return lambda message: hmac.digest(key, message, algorithm)


def rs256(key: rsa.RSAPrivateKey) -> Sign:
    """Return a function that signs with RS256."""
    return lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256())


_SHA_256 = bytes.fromhex("3031300d060960864801650304020105000420")  # before the hash: RFC 8017 section 9.2, note 1


def emsa(message: bytes, size: int = 256) -> bytes:
    """Return the encoded message of RS256 (EMSA-PKCS1-v1_5, RFC 8017 section 9.2) of ``size`` bytes.

    With the public exponent 1 it is also a valid signature, which anybody can make.
    """
    info = _SHA_256 + hashlib.sha256(message).digest()
    return b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info


def es256(key: ec.EllipticCurvePrivateKey) -> Sign:
    """Return a function that signs with ES256."""

    def sign(message: bytes) -> bytes:
        numbers = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32) for number in numbers)

    return sign


GOOD: Sign = hs(SECRET.encode())


def written(document: Mapping[str, Any] | str | bytes) -> bytes:
    """Encode a document as JSON; text and bytes stay as they are."""
    if isinstance(document, bytes):
        return document
    return (document if isinstance(document, str) else json.dumps(document)).encode()


def mint(
    claims: Mapping[str, Any] | str | bytes = USER,
    sign: Sign = GOOD,
    header: Mapping[str, Any] | str | bytes = {"alg": "HS256"},  # never mutated
) -> str:
    """Return a token in compact serialization over exactly these bytes."""
    message = f"{b64(written(header))}.{b64(written(claims))}"
    return f"{message}.{b64(sign(message.encode()))}"


def bearer(token: str) -> list[str]:
    """Return the Authorization fields of a request with ``token``."""
    return [f"Bearer {token}"]


def verifier(key: PrivateKey | str = SECRET, *algorithms: str, **rules: Any) -> TokenVerifier:
    """Return a verifier with these rules, by a shared secret or by the public key of a private key."""
    verification = secret_key(key, algorithms) if isinstance(key, str) else public_key(pem(key), algorithms)
    return TokenVerifier(TokenRules(verification, **rules))


def jwk(key: PrivateKey, kid: str = "one", **members: Any) -> dict[str, Any]:
    """Return the public key as a JWK with a ``kid``."""
    match key:
        case rsa.RSAPrivateKey():
            name = "RS256"
        case ec.EllipticCurvePrivateKey():
            name = "ES256"
        case _:
            name = "EdDSA"
    algorithm: Any = get_default_algorithms()[name]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **members}


def document(*keys: Any) -> bytes:
    """Return a JWK Set."""
    return json.dumps({"keys": keys}).encode()
