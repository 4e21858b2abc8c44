"""Derived keys and base64url."""

import base64

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from broker.crypto.secrets import b64url, b64url_decode, derive, fingerprint


@given(st.binary(min_size=1, max_size=200), st.text("abc 1", min_size=1, max_size=40))
def test_keys_are_derived_by_hkdf(secret: bytes, label: str) -> None:
    """A derived key is the one of HKDF-SHA-256 (RFC 5869)."""
    oracle = HKDF(SHA256(), 32, salt=b"r2-upload-broker", info=label.encode())
    assert derive(secret, label) == oracle.derive(secret)


@given(st.binary(max_size=100))
def test_base64url_has_no_padding(data: bytes) -> None:
    """The encoding is the base64url of the standard library without padding."""
    assert b64url(data) == base64.urlsafe_b64encode(data).decode().rstrip("=")


@given(st.binary(max_size=100))
def test_base64url_decodes_to_the_same_bytes(data: bytes) -> None:
    """Encoded bytes decode to the same bytes."""
    assert b64url_decode(b64url(data)) == data


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "A+==", "AA\n", "é", "AAA=", "AA A"])
def test_other_spellings_are_refused(text: str) -> None:
    """A text that the encoder does not produce is refused."""
    with pytest.raises(ValueError, match=r".*"):
        b64url_decode(text)


def test_a_fingerprint_is_the_published_thumbprint() -> None:
    """The fingerprint of the key in RFC 8037, appendix A.3, is the published thumbprint."""
    key = b'{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
    assert fingerprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
