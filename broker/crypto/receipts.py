"""Track-ready receipts: a JWS (EdDSA, RFC 8037) that says what was confirmed, verifiable offline.

Rules of this module
- A receipt certifies only what was checked: a SHA-256 stands in it together with the evidence for it, or not at all.
- The Ed25519 key is derived from the deployment's secret, so all replicas sign alike and publish the same JWK Set.
- Ed25519 is deterministic and ``iat`` is the confirmation's own instant: the same confirmation, the same receipt.
- ``typ`` is ``track-ready+jwt`` (RFC 8725 section 3.11), so that a receipt passes for no other kind of token.
"""

import base64
from collections.abc import Sequence

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.core.model import TrackReady

from .secrets import b64url, derive, fingerprint

TYP = "track-ready+jwt"


class Receipts:
    """Signs receipts with the first secret's key and publishes the public keys of all secrets."""

    def __init__(self, secrets: Sequence[bytes], *, issuer: str) -> None:
        keys = [Ed25519PrivateKey.from_private_bytes(derive(secret, "receipt Ed25519 v1")) for secret in secrets]
        self._issuer = issuer
        self._key = keys[0]
        self.jwks = {"keys": [_jwk(key) for key in keys]}
        self._headers = {"typ": TYP, "kid": self.jwks["keys"][0]["kid"]}

    def sign(self, track: TrackReady) -> str:
        """The receipt of ``track`` in compact form."""
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
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers=self._headers)


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    x = b64url(key.public_key().public_bytes_raw())
    thumbprint = fingerprint(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode())  # RFC 7638, RFC 8037 appendix A.3
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": thumbprint, "use": "sig", "alg": "EdDSA"}
