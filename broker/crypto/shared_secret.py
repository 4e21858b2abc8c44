"""Secrets that verify bearer tokens by HMAC (RFC 7518, section 3.2, with the rules of RFC 8725).

Rules of this module
- A secret that is weak or is a key of another kind raises ``ValueError`` with the rule and without the value.
- The libraries that read keys are imported only for a secret that may be one: they take a tenth of the start.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from .verification_key import VerificationKey, choose, require

_HMAC: Final = {"HS256": 32, "HS384": 48, "HS512": 64}  # the least bytes of a secret: RFC 7518 section 3.2

# Parts of examples and placeholders, as lowercase letters and digits. A random secret does not contain them by chance.
_PLACEHOLDERS = re.compile(
    "changeme|changethis|changein|replaceme|donotuse|fallback|placeholder|example|password|yoursecret|yoursuper|yourjwt"
    "|your256|supersecret|secretkey|jwtsecret|atleast|1234567|abcdefg|qwerty"
    # FastAPI's tutorial, the Spring tutorials and RFC 7515 appendix A.1
    "|09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"
    "|404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970"
    "|aym1sysppbydfgzld3umj1qzkobwvmkoqqestjqlrt1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow"
)

# How a key begins: PEM (RFC 7468), SSH (RFC 4253), a DER sequence (X.690), and JSON in UTF-8, UTF-16 or UTF-32.
_KEY_FORMS = re.compile(rb"----|\A(?:ssh-|ecdsa-|\x30|[\0\s\xef\xbb\xbf\xfe\xff]*[\[{])")


def secret_key(text: str, algorithms: Sequence[str] = ()) -> VerificationKey:
    """Return the key of a shared secret, by default for every HMAC algorithm for which it is long enough.

    Raises ``ValueError`` with the rule that the secret breaks.
    """
    secret = text.encode(errors="ignore")
    require(secret.decode() == text, "must be UTF-8 text")
    require(len(secret) >= _HMAC["HS256"], "must have at least 32 bytes")
    require(not _holds_key(secret), "must be a secret, not a key in PEM, SSH, DER, base64 or JWK form")
    periods = range(1, len(secret) // 2 + 1)
    require(all(secret[n:] != secret[:-n] for n in periods), "must be random: it repeats itself")
    require(len(set(secret)) >= 8, "must be random: it has fewer than 8 different characters")
    require(not _PLACEHOLDERS.search(re.sub(r"[\W_]", "", text.lower())), "must not be an example or a placeholder")
    fitting = tuple(name for name, least in _HMAC.items() if len(secret) >= least)
    chosen = choose(algorithms, tuple(_HMAC)) if algorithms else fitting
    require(set(chosen) <= set(fitting), "must have at least 48 bytes for HS384 and 64 for HS512")
    return VerificationKey(secret, chosen)


def _holds_key(secret: bytes) -> bool:
    """Return whether the secret holds a key, which may be public: then every party can sign (RFC 8725, section 2.1)."""
    return b"-----BEGIN" in secret or any(map(_is_key, (secret, _without_base64(secret))))


def _without_base64(secret: bytes) -> bytes:
    packed = re.sub(rb"\\n|[\s=]", b"", secret) + b"=="
    try:
        return base64.b64decode(packed.translate(bytes.maketrans(b"-_", b"+/")))
    except binascii.Error:
        return b""


def _is_key(data: bytes) -> bool:
    if not _KEY_FORMS.search(data):
        return False
    from .public_key import is_key  # noqa: PLC0415  see the rules of this module

    return is_key(data)
