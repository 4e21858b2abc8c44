"""Track-ready receipts: a JWS (EdDSA, RFC 8037) of a confirmation, which can be verified offline.

Rules of this module
- A receipt certifies only facts that were checked: it has a SHA-256 only together with the evidence for it.
- The Ed25519 key is derived from the deployment's secret: all replicas sign alike and publish the same JWK Set.
- Ed25519 is deterministic and ``iat`` is the instant of the confirmation, so a confirmation has only one receipt.
- ``typ`` is ``track-ready+jwt`` (RFC 8725, section 3.11), so that a receipt is not accepted as another kind of token.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.core.model import Track

from .secrets import b64url, derive, fingerprint

TYP = "track-ready+jwt"
"""The ``typ`` header parameter of a receipt."""


class Receipts:
    """The receipts of one deployment: the first secret's key signs, and the public keys of all are published."""

    def __init__(self, secrets: Sequence[bytes], *, issuer: str) -> None:
        keys = [Ed25519PrivateKey.from_private_bytes(derive(secret, "receipt Ed25519 v1")) for secret in secrets]
        self._issuer = issuer
        self._key = keys[0]
        self.jwks = {"keys": [_jwk(key) for key in keys]}
        self._header = _encoded({"alg": "EdDSA", "typ": TYP, "kid": self.jwks["keys"][0]["kid"]})

    def sign(self, track: Track) -> str:
        """Return the receipt of ``track`` in compact serialization."""
        file = track.upload.file
        claims = {
            "iss": self._issuer,
            "sub": track.upload.owner,
            "jti": track.upload.uuid,
            "iat": track.confirmed_at,
            "key": track.key,
            "size": file.size,
            "etag": track.etag,
            "contentType": file.media_type.name,
            "sha256": base64.b64encode(track.sha256).decode() if track.sha256 else None,
            "sha256Evidence": track.evidence,
        }
        signing_input = f"{self._header}.{_encoded(claims)}"  # RFC 7515, section 5.1
        return f"{signing_input}.{b64url(self._key.sign(signing_input.encode()))}"


def _encoded(members: Mapping[str, Any]) -> str:
    return b64url(json.dumps(members, separators=(",", ":")).encode())


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    x = b64url(key.public_key().public_bytes_raw())
    thumbprint = fingerprint(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode())  # RFC 7638, RFC 8037 appendix A.3
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": thumbprint, "use": "sig", "alg": "EdDSA"}
