"""Capabilities: texts in the path of a URL that stand in for a bearer token, for clients that cannot send one.

Rules of this module
- A capability is base64url(tag | payload), as an upload id is: HMAC-SHA-256, cut to 16 bytes, of a MessagePack array.
  Its key has a label of its own, so that neither opens as the other.
- It permits uploads of one user until it expires, or what remains to be done for one upload. It never carries the
  scope of a service.
- One that does not open, or has expired, gives ``None``. The cause is not reported.
"""

import hmac
from collections.abc import Sequence
from typing import Final

import msgspec

from .secrets import b64url, b64url_decode, derive

CAPABILITY_MAX: Final = 1024
"""Maximum length of a capability in characters; a subject of the maximum length fits into it."""

_TAG_SIZE: Final = 16
"""Bytes of the HMAC that are kept."""


class Capability(msgspec.Struct, array_like=True, frozen=True):
    """The permission of ``subject`` to upload until ``expires_at``, or to end the upload ``uuid`` if it has one."""

    subject: str
    expires_at: int
    uuid: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Capability).decode


class Capabilities:
    """The capabilities of one deployment: the first secret seals, all open."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._keys = [derive(secret, "upload capability v1") for secret in secrets]

    def seal(self, capability: Capability) -> str:
        """Return the text of a capability."""
        payload = _encode(capability)
        return b64url(_tag(self._keys[0], payload) + payload)

    def open(self, text: str, *, now: float) -> Capability | None:
        """Return the capability of ``text``; ``None`` unless one of the secrets sealed it and it is still valid."""
        if len(text) > CAPABILITY_MAX:
            return None
        try:
            data = b64url_decode(text)
        except ValueError:
            return None
        tag, payload = data[:_TAG_SIZE], data[_TAG_SIZE:]
        if not any(hmac.compare_digest(tag, _tag(key, payload)) for key in self._keys):
            return None
        capability = _decode(payload)
        return capability if now < capability.expires_at else None


def _tag(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_TAG_SIZE]
