"""The forms by which a secret is recognized as a key, before the libraries that read keys are imported."""

import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from broker.crypto import shared_secret
from broker.crypto.public_key import is_key
from tests.auth.minting import ED25519, P256, RSA, der, jwk, pem

JWK = json.dumps(jwk(P256))
DOCUMENTS = [JWK, f" \n{JWK}", json.dumps({"keys": [jwk(ED25519)]}), json.dumps([{"kty": "oct"}])]
KEYS = [
    *(
        text.encode(encoding)
        for text in DOCUMENTS
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32")
    ),
    *(der(key) for key in (P256, RSA, ED25519)),
    *(pem(key).encode() for key in (P256, RSA, ED25519)),
    *(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) for key in (P256, RSA, ED25519)),
]

DEEP = b"[" * 5000 + JWK.encode()
"""A document that some versions of Python cannot read: those take it for a key."""


@given(
    st.sampled_from([*KEYS, DEEP]),
    st.sampled_from([b"", b"x", b" ", b"\n\t", b"\0", b"\xef\xbb\xbf", b"-"]),
    st.binary(),
)
def test_forms_of_keys(key: bytes, before: bytes, behind: bytes) -> None:
    """Everything that the libraries read as a key begins like one."""
    data = before + key + behind
    assert is_key(key) or key is DEEP
    assert shared_secret._KEY_FORMS.search(key)
    assert shared_secret._KEY_FORMS.search(data) or not is_key(data)


@pytest.mark.parametrize(
    "secret", ["o/cwFuOiVvIr5d4qSfEyi0nFzm2qVAv7cgGfQjEFxRr6Y9lx", "correct horse battery staple zebra!"]
)
def test_no_library_for_a_secret(secret: str) -> None:
    """A secret that cannot be a key, also not in base64, is checked without the libraries that read keys."""
    program = (
        "import sys; from broker.crypto.shared_secret import secret_key; "
        "secret_key(sys.argv[1]); print({'jwt', 'cryptography'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", program, secret], check=True, capture_output=True, text=True)
    assert found.stdout == "set()\n"
