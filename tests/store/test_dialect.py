"""What is known of a store by its endpoint."""

import pytest

from broker.store.dialect import dialect_of

ACCOUNT = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("endpoint", "checks"),
    [
        (f"https://{ACCOUNT}.r2.cloudflarestorage.com", True),
        (f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", True),
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://s3.amazonaws.com", True),
        (f"http://{ACCOUNT}.r2.cloudflarestorage.com", False),
        ("https://r2.cloudflarestorage.com.evil.example", False),
        ("https://s3.example.com", False),
        ("http://127.0.0.1:8333", False),
    ],
)
def test_only_stores_that_are_known_to_check_uploads_count(endpoint: str, checks: bool) -> None:
    """A store of which nothing is known gives no evidence at the PUT."""
    assert dialect_of(endpoint).checks_uploads is checks
