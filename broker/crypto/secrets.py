"""KeySource for each purpose from the deployment's secrets: HKDF-SHA-256 (RFC 5869), one label a purpose."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

_TO_URL = bytes.maketrans(b"+/", b"-_")


def derive(secret: bytes, label: str) -> bytes:
    """Thirty-two bytes that tell nothing of ``secret`` nor of any other label's bytes.

    The secret is high-entropy by the settings' rules; the salt only separates this program's keys from others'.
    """
    extracted = hmac.digest(b"r2-upload-broker", secret, "sha256")
    return hmac.digest(extracted, label.encode() + b"\x01", "sha256")


def mac(key: bytes) -> Callable[[bytes], "hashlib._Hash"]:
    """HMAC-SHA-256 under a key of at most 64 bytes, both pads hashed once (RFC 2104, section 4): twice as fast."""
    block = key.ljust(64, b"\0")
    inner_pad = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer_pad = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def tag(data: bytes) -> "hashlib._Hash":
        inner, outer = inner_pad.copy(), outer_pad.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer

    return tag


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode()


def b64url_decode(text: str) -> bytes:
    """The bytes of ``text``; raises ``ValueError`` unless it is the one spelling of them."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def fingerprint(data: bytes) -> str:
    """SHA-256, base64url: how a public key is named (RFC 7638)."""
    return b64url(hashlib.sha256(data).digest())
