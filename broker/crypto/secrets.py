"""Keys derived from the deployment's secrets by HKDF-SHA-256 (RFC 5869), one label for each purpose; base64url."""

import binascii
import hashlib
import hmac

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def derive(secret: bytes, label: str) -> bytes:
    """Return a key of 32 bytes, which reveals neither ``secret`` nor the key of any other label.

    The settings require a secret of high entropy; the salt only separates this program's keys from those of others.
    """
    extracted = hmac.digest(b"r2-upload-broker", secret, "sha256")
    return hmac.digest(extracted, label.encode() + b"\x01", "sha256")


def b64url(data: bytes) -> str:
    """Return ``data`` in base64url without padding (RFC 7515, section 2)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode()


def b64url_decode(text: str) -> bytes:
    """Return the bytes of ``text``; raise ``ValueError`` unless ``b64url`` spells them in the same way."""
    data = binascii.a2b_base64(text.encode().translate(_FROM_URL) + b"==")  # skips other characters, and ends at "="
    if b64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def fingerprint(data: bytes) -> str:
    """Return the SHA-256 in base64url, which names a public key (RFC 7638)."""
    return b64url(hashlib.sha256(data).digest())
