"""Keys that verify bearer tokens (RFC 7517 and 7518, with the rules of RFC 8725).

Rules of this module
- A key decides which algorithms it verifies, and all of them are of one family (RFC 8725, section 3.1).
- A key that is weak, private or of another kind raises ``ValueError`` with the rule and without the value. The
  message of a library may quote the value, so it is dropped and never chained.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_public_key
from jwt.algorithms import HMACAlgorithm

from broker.core.strict_json import parse_object

from .secrets import b64url_decode

T = TypeVar("T")
PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

_HMAC = {"HS256": 32, "HS384": 48, "HS512": 64}  # the least bytes of a secret: RFC 7518 section 3.2
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ECDSA = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}  # RFC 7518 section 3.4
_CURVES = {"P-256": SECP256R1(), "P-384": SECP384R1(), "P-521": SECP521R1()}
_EDWARDS: Mapping[str, type[Ed25519PublicKey | Ed448PublicKey]] = {"Ed25519": Ed25519PublicKey, "Ed448": Ed448PublicKey}
_EDWARDS_BYTES = {"Ed25519": 32, "Ed448": 57}  # RFC 8032 sections 5.1.5 and 5.2.5
PUBLIC_ALGORITHMS = (*_RSA, "ES256", "ES384", "ES512", "EdDSA")
"""All algorithms that a public key may verify."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1

# Parts of examples and placeholders, as lowercase letters and digits. A random secret does not contain them by chance.
_PLACEHOLDERS = re.compile(
    "changeme|changethis|changein|replaceme|donotuse|fallback|placeholder|example|password|yoursecret|yoursuper|yourjwt"
    "|your256|supersecret|secretkey|jwtsecret|atleast|1234567|abcdefg|qwerty"
    # FastAPI's tutorial, the Spring tutorials and RFC 7515 appendix A.1
    "|09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"
    "|404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970"
    "|aym1sysppbydfgzld3umj1qzkobwvmkoqqestjqlrt1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow"
)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with the algorithms that it verifies; a token cannot add any."""

    material: bytes | PublicKey = field(repr=False)
    algorithms: tuple[str, ...]


def secret_key(text: str, algorithms: Sequence[str] = ()) -> VerificationKey:
    """Return the key of a shared secret, by default for every HMAC algorithm for which it is long enough.

    Raises ``ValueError`` with the rule that the secret breaks.
    """
    secret = text.encode(errors="ignore")
    _require(secret.decode() == text, "must be UTF-8 text")
    _require(len(secret) >= _HMAC["HS256"], "must have at least 32 bytes")
    _require(not _holds_key(secret), "must be a secret, not a key in PEM, SSH, DER, base64 or JWK form")
    periods = range(1, len(secret) // 2 + 1)
    _require(all(secret[n:] != secret[:-n] for n in periods), "must be random: it repeats itself")
    _require(len(set(secret)) >= 8, "must be random: it has fewer than 8 different characters")
    _require(not _PLACEHOLDERS.search(re.sub(r"[\W_]", "", text.lower())), "must not be an example or a placeholder")
    fitting = tuple(name for name, least in _HMAC.items() if len(secret) >= least)
    chosen = _choose(algorithms, tuple(_HMAC)) if algorithms else fitting
    _require(set(chosen) <= set(fitting), "must have at least 48 bytes for HS384 and 64 for HS512")
    return VerificationKey(secret, chosen)


def public_key(text: str, algorithms: Sequence[str] = ()) -> VerificationKey:
    """Return the public key in a PEM document or a JWK, by default for every algorithm of its kind.

    Raises ``ValueError`` with the rule that the key breaks.
    """
    _require("PRIVATE KEY" not in text, "must be a public key, not a secret one")
    if text.lstrip().startswith("{"):
        return jwk_key(parse_object(text.encode(errors="surrogatepass")), algorithms)
    key, family = _with_algorithms(_attempt(lambda: _from_pem(text)))
    return VerificationKey(key, _choose(algorithms, family))


def jwk_key(jwk: Mapping[str, Any], algorithms: Sequence[str] = ()) -> VerificationKey:
    """Return the public key in a JWK, for the algorithms that the JWK allows.

    Raises ``ValueError`` with the rule that the key breaks.
    """
    _require(not _PRIVATE & jwk.keys(), "must be a public key, not a secret one")
    uses = jwk.get("key_ops", ["verify"])  # RFC 7517 sections 4.2 to 4.4
    _require(jwk.get("use", "sig") == "sig", "must have sig as its use")
    _require(isinstance(uses, list) and "verify" in uses, "must have verify among its key_ops")
    key, family = _with_algorithms(_from_jwk(jwk))
    _require(jwk.get("alg", family[0]) in family, f"must have an alg among {', '.join(family)}")
    return VerificationKey(key, _choose(algorithms, (jwk["alg"],) if "alg" in jwk else family))


def _require(is_kept: bool, rule: str) -> None:
    if not is_kept:
        raise ValueError(rule)


def _attempt(read: Callable[[], T]) -> T | None:
    """Return the result of ``read``; ``None`` if it fails. Its error is dropped, because it may quote the value."""
    try:
        return read()
    except (ValueError, RecursionError, UnsupportedAlgorithm):
        return None


def _choose(wanted: Sequence[object], family: tuple[str, ...]) -> tuple[str, ...]:
    """Return the wanted algorithms of ``family``, all of them if none is named."""
    _require(all(name in family for name in wanted), f"verifies no other algorithms than {', '.join(family)}")
    return tuple(name for name in family if name in wanted) or family


def _holds_key(secret: bytes) -> bool:
    """Return whether the secret holds a key, which may be public: then every party can sign (RFC 8725, section 2.1)."""
    packed = re.sub(rb"\\n|[\s=]", b"", secret) + b"=="
    unpacked = _attempt(lambda: base64.b64decode(packed.translate(bytes.maketrans(b"-_", b"+/")))) or secret
    return b"-----BEGIN" in secret or _is_key(secret) or _is_key(unpacked)


def _is_key(data: bytes) -> bool:
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(data)  # refuses public keys, certificates and JWKs
        load_der_private_key(data, None)
    except ValueError:
        return False
    except (jwt.InvalidKeyError, UnsupportedAlgorithm, TypeError):  # TypeError: a private key with a password
        pass
    return True


def _from_pem(text: str) -> object:
    pem = text.replace("\\n", "\n")  # an environment variable may have no line breaks
    return load_pem_public_key(pem.encode()) if pem.count("-----BEGIN") == 1 else None


def _from_jwk(jwk: Mapping[str, Any]) -> object:
    match jwk.get("kty"):
        case "RSA":
            modulus, exponent = (int.from_bytes(_decoded(jwk, name)) for name in ("n", "e"))
            _validate_rsa(modulus, exponent)
            return _attempt(lambda: RSAPublicNumbers(exponent, modulus).public_key())
        case "EC":
            curve = _CURVES[_curve_name(jwk, _CURVES)]
            x, y = (_decoded(jwk, name, (curve.key_size + 7) // 8) for name in ("x", "y"))
            point = _attempt(lambda: EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y))
            _require(point is not None, "must have x and y of a point on its curve")
            return point
        case "OKP":
            name = _curve_name(jwk, _EDWARDS)
            encoded = _decoded(jwk, "x", _EDWARDS_BYTES[name])
            return _attempt(lambda: _EDWARDS[name].from_public_bytes(encoded))
    raise ValueError("must have RSA, EC or OKP as its kty")


def _curve_name(jwk: Mapping[str, Any], known: Mapping[str, object]) -> str:
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"must have a crv among {', '.join(known)}")
    return name


def _decoded(jwk: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    """Return the bytes of a member, which are ``size`` if that is given.

    RFC 7515 section 2: padding is omitted. RFC 7518 sections 6.2.1.2 and 6.2.1.3: a coordinate keeps its leading zeros.
    """
    text = jwk.get(name)
    data = _attempt(lambda: b64url_decode(text)) if isinstance(text, str) else None
    if data is None:
        raise ValueError(f"must have {name} in base64url without padding")
    _require(size in (None, len(data)), f"must have {name} of {size} bytes, leading zeros included")
    return data


def _validate_rsa(modulus: int, exponent: int) -> None:
    _require(2048 <= modulus.bit_length() <= 8192, "must have 2048 to 8192 bits")
    # RFC 8017 section 3.1; with the exponent 1 every party can sign
    is_valid = 3 <= exponent < modulus and exponent % 2 == 1
    _require(is_valid, "must have an odd exponent of at least 3, below its modulus")


def _with_algorithms(key: object) -> tuple[PublicKey, tuple[str, ...]]:
    """Return the key with the algorithms of its kind; raise ``ValueError`` if it is weak."""
    match key:
        case RSAPublicKey():
            numbers = key.public_numbers()
            _validate_rsa(numbers.n, numbers.e)
            return key, _RSA
        case EllipticCurvePublicKey() if key.curve.name in _ECDSA:
            return key, _ECDSA[key.curve.name]
        case Ed25519PublicKey() | Ed448PublicKey():
            _require(not _is_of_small_order(key), "must not be of small order: anybody could sign for it")
            return key, ("EdDSA",)
    raise ValueError("must be one public key in PEM or JWK form: RSA, P-256, P-384, P-521, Ed25519 or Ed448")


def _is_of_small_order(key: Ed25519PublicKey | Ed448PublicKey) -> bool:
    """Return whether the order of the point, one of 8 or 4, divides the cofactor (RFC 8725, section 3.4)."""
    y = int.from_bytes(key.public_bytes_raw(), "little")
    if isinstance(key, Ed448PublicKey):
        y %= 2**455  # without the sign of x
        return y * (y * y - 1) % (2**448 - 2**224 - 1) == 0  # of order 4, or 2 and 1
    y %= 2**255
    order_8 = 121665 * y**4 - 243332 * y * y + 121666  # RFC 8032 section 5.1: where doubling makes y zero
    return y * (y * y - 1) * order_8 % (2**255 - 19) == 0
