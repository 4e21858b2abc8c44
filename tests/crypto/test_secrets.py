"""KeySource for each purpose, and base64url with one spelling."""

import base64

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from broker.crypto.secrets import b64url, b64url_decode, derive, fingerprint


@given(st.binary(min_size=1, max_size=200), st.text("abc 1", min_size=1, max_size=40))
def test_a_key_is_derived_as_rfc_5869_says(secret: bytes, label: str) -> None:
    oracle = HKDF(SHA256(), 32, salt=b"r2-upload-broker", info=label.encode())
    assert derive(secret, label) == oracle.derive(secret)


@given(st.binary(max_size=100))
def test_base64url_is_the_standard_library_s_without_padding(data: bytes) -> None:
    assert b64url(data) == base64.urlsafe_b64encode(data).decode().rstrip("=")


@given(st.binary(max_size=100))
def test_base64url_gives_the_bytes_back(data: bytes) -> None:
    assert b64url_decode(b64url(data)) == data


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "A+==", "AA\n", "é", "AAA=", "AA A"])
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        b64url_decode(text)


def test_a_fingerprint_is_the_published_thumbprint() -> None:
    """RFC 8037 appendix A.3."""
    key = b'{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
    assert fingerprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
