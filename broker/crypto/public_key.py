"""Public keys that verify bearer tokens (RFC 7517 and 7518, with the rules of RFC 8725).

Rules of this module
- A key decides which algorithms it verifies, and all of them are of one family (RFC 8725, section 3.1).
- A key that is weak, private or of another kind raises ``ValueError`` with the rule and without the value. The
  message of a library may quote the value, so it is dropped and never chained.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

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
from .verification_key import RSA_ALGORITHMS, VerificationKey, choose, require

if TYPE_CHECKING:
    from .verification_key import PublicKey

T = TypeVar("T")

_ECDSA = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}  # RFC 7518 section 3.4
_CURVES = {"P-256": SECP256R1(), "P-384": SECP384R1(), "P-521": SECP521R1()}
_EDWARDS: Mapping[str, type[Ed25519PublicKey | Ed448PublicKey]] = {"Ed25519": Ed25519PublicKey, "Ed448": Ed448PublicKey}
_EDWARDS_BYTES = {"Ed25519": 32, "Ed448": 57}  # RFC 8032 sections 5.1.5 and 5.2.5
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1


def public_key(text: str, algorithms: Sequence[str] = ()) -> VerificationKey:
    """Return the public key in a PEM document or a JWK, by default for every algorithm of its kind.

    Raises ``ValueError`` with the rule that the key breaks.
    """
    require("PRIVATE KEY" not in text, "must be a public key, not a secret one")
    if text.lstrip().startswith("{"):
        return jwk_key(parse_object(text.encode(errors="surrogatepass")), algorithms)
    key, family = _with_algorithms(_attempt(lambda: _from_pem(text)))
    return VerificationKey(key, choose(algorithms, family))


def jwk_key(jwk: Mapping[str, Any], algorithms: Sequence[str] = ()) -> VerificationKey:
    """Return the public key in a JWK, for the algorithms that the JWK allows.

    Raises ``ValueError`` with the rule that the key breaks.
    """
    require(not _PRIVATE & jwk.keys(), "must be a public key, not a secret one")
    uses = jwk.get("key_ops", ["verify"])  # RFC 7517 sections 4.2 to 4.4
    require(jwk.get("use", "sig") == "sig", "must have sig as its use")
    require(isinstance(uses, list) and "verify" in uses, "must have verify among its key_ops")
    key, family = _with_algorithms(_from_jwk(jwk))
    require(jwk.get("alg", family[0]) in family, f"must have an alg among {', '.join(family)}")
    return VerificationKey(key, choose(algorithms, (jwk["alg"],) if "alg" in jwk else family))


def is_key(data: bytes) -> bool:
    """Return whether ``data`` is a key or certificate in PEM, SSH, DER or JWK form."""
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(data)  # refuses public keys, certificates and JWKs
        load_der_private_key(data, None)
    except ValueError:
        return False
    except (jwt.InvalidKeyError, UnsupportedAlgorithm, TypeError):  # TypeError: a private key with a password
        pass
    return True


def _attempt(read: Callable[[], T]) -> T | None:
    """Return the result of ``read``; ``None`` if it fails. Its error is dropped, because it may quote the value."""
    try:
        return read()
    except (ValueError, RecursionError, UnsupportedAlgorithm):
        return None


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
            require(point is not None, "must have x and y of a point on its curve")
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
    require(size in (None, len(data)), f"must have {name} of {size} bytes, leading zeros included")
    return data


def _validate_rsa(modulus: int, exponent: int) -> None:
    require(2048 <= modulus.bit_length() <= 8192, "must have 2048 to 8192 bits")
    # RFC 8017 section 3.1; with the exponent 1 every party can sign
    is_valid = 3 <= exponent < modulus and exponent % 2 == 1
    require(is_valid, "must have an odd exponent of at least 3, below its modulus")


def _with_algorithms(key: object) -> "tuple[PublicKey, tuple[str, ...]]":
    """Return the key with the algorithms of its kind; raise ``ValueError`` if it is weak."""
    match key:
        case RSAPublicKey():
            numbers = key.public_numbers()
            _validate_rsa(numbers.n, numbers.e)
            return key, RSA_ALGORITHMS
        case EllipticCurvePublicKey() if key.curve.name in _ECDSA:
            return key, _ECDSA[key.curve.name]
        case Ed25519PublicKey() | Ed448PublicKey():
            require(not _is_of_small_order(key), "must not be of small order: anybody could sign for it")
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
