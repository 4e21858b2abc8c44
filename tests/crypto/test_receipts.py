"""Receipts, verified with the published JWK Set."""

from dataclasses import replace

import jwt
import pytest

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import Evidence, FileSpec, Track, Upload
from broker.crypto.receipts import Receipts

ALGORITHM = "EdDSA"
"""The ``alg`` of receipts and of their keys."""

OLD, NEW = b"o" * 32, b"n" * 32
UPLOAD = Upload(
    "0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55",
    "user-1",
    FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 9),
    1_800_000_000,
)
TRACK = Track(UPLOAD, f"media/{UPLOAD.uuid}.mp3", "e" * 32, 1_790_000_000)


def verify(receipt: str, published: Receipts) -> dict[str, object]:
    """As a product's backend would do it."""
    keys = jwt.PyJWKSet.from_dict(published.jwks)
    key = keys[jwt.get_unverified_header(receipt)["kid"]]
    claims: dict[str, object] = jwt.decode(receipt, key, algorithms=[ALGORITHM], issuer="broker")
    return claims


def key_of(receipts: Receipts, kid: str) -> dict[str, str]:
    """Return the only published key with this key id."""
    (key,) = (each for each in receipts.jwks["keys"] if each["kid"] == kid)
    return key


def test_a_receipt_verifies_and_has_the_confirmation() -> None:
    """A receipt verifies with the published keys, and its claims are the facts of the confirmation."""
    receipts = Receipts([NEW], issuer="broker")
    expected = {
        "iss": "broker",
        "sub": "user-1",
        "jti": UPLOAD.uuid,
        "iat": 1_790_000_000,
        "key": TRACK.key,
        "size": 9,
        "etag": "e" * 32,
        "contentType": "audio/mpeg",
        "sha256": None,
        "sha256Evidence": None,
    }
    assert verify(receipts.sign(TRACK), receipts) == expected


def test_a_receipt_has_its_own_type() -> None:
    """The type in the header of a receipt keeps it from being accepted as another kind of token."""
    header = jwt.get_unverified_header(Receipts([NEW], issuer="broker").sign(TRACK))
    assert (header["typ"], header["alg"]) == ("track-ready+jwt", ALGORITHM)


def test_the_same_confirmation_gives_the_same_receipt() -> None:
    """A confirmation that is signed twice has the same receipt."""
    assert Receipts([NEW], issuer="broker").sign(TRACK) == Receipts([NEW], issuer="broker").sign(TRACK)


def test_a_sha256_comes_with_its_evidence() -> None:
    """A receipt has a SHA-256 together with the evidence for it."""
    track = replace(TRACK, sha256=b"\0" * 32, evidence=Evidence.STORE)
    receipts = Receipts([NEW], issuer="broker")
    claims = verify(receipts.sign(track), receipts)
    assert (claims["sha256"], claims["sha256Evidence"]) == ("A" * 43 + "=", "store")


def test_a_declared_sha256_is_not_certified() -> None:
    """SEQ03: a SHA-256 that was only declared is not in the receipt."""
    file = FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 9, sha256=b"\0" * 32)
    track = replace(TRACK, upload=Upload(UPLOAD.uuid, "user-1", file, 0))
    receipts = Receipts([NEW], issuer="broker")
    assert verify(receipts.sign(track), receipts)["sha256"] is None


def test_receipts_of_the_old_secret_verify() -> None:
    """Receipts of the old secret verify as long as both secrets are configured."""
    old = Receipts([OLD], issuer="broker").sign(TRACK)
    assert verify(old, Receipts([NEW, OLD], issuer="broker"))["key"] == TRACK.key


def test_a_changed_receipt_does_not_verify() -> None:
    """A receipt whose claims were changed does not verify."""
    receipts = Receipts([NEW], issuer="broker")
    head, body, signature = receipts.sign(TRACK).split(".")
    with pytest.raises(jwt.InvalidSignatureError):
        verify(f"{head}.{body[:-2]}{'AA' if body[-2:] != 'AA' else 'BB'}.{signature}", receipts)


def test_published_keys_are_public() -> None:
    """The JWK Set has only public members, and its key ids are thumbprints."""
    receipts = Receipts([NEW], issuer="broker")
    key = key_of(receipts, jwt.get_unverified_header(receipts.sign(TRACK))["kid"])
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert len(key["kid"]) == 43
    assert [each for each in receipts.jwks["keys"] if "d" in each] == []


def test_keys_are_the_same_in_every_release() -> None:
    """A secret gives the keys that it gave in earlier releases."""
    assert key_of(Receipts([NEW], issuer="broker"), "KLLZjICI6pBoj4iIijoWiANJ1dfl_l7OXFH0oZ91tyo") == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "T9OG5dHXUFh1po3HiO4kfkpaAoffltI1CX_4cHl-5T0",
        "kid": "KLLZjICI6pBoj4iIijoWiANJ1dfl_l7OXFH0oZ91tyo",
        "use": "sig",
        "alg": ALGORITHM,
    }
