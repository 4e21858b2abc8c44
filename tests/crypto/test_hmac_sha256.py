"""HMAC-SHA-256 from copies of SHA-256 states, compared with the standard library's ``hmac``."""

import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from broker.crypto.hmac_sha256 import HmacSha256


@example(b"k" * 64, b"", b"", b"")
@example(b"k" * 65, b"p", b"q", b"r")
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_hmac_equals_that_of_the_library(key: bytes, prefix: bytes, more: bytes, rest: bytes) -> None:
    """The HMAC of prefixes and a rest is that of the whole message, and one call does not change the next."""
    short = HmacSha256(key, prefix)
    longer = short.starting(more)
    for _ in range(2):
        assert longer.digest(rest) == hmac.digest(key, prefix + more + rest, "sha256")
        assert short.hexdigest(rest) == hmac.digest(key, prefix + rest, "sha256").hex()


def test_hmac_of_a_published_example() -> None:
    """The second test case of RFC 4231 gives the published HMAC."""
    found = HmacSha256(b"Jefe").hexdigest(b"what do ya want for nothing?")
    assert found == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
