"""The limits of R2, and sizes as text."""

import pytest

from broker.core.limits import GIB, MIB, OBJECT_MAX, PUT_MAX, TIB, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 byte"),
        (1000, "1000 bytes"),
        (MIB - 1, "1048575 bytes"),
        (MIB, "1 MiB"),
        (MIB + 1, "1048577 bytes"),
        (5 * GIB, "5 GiB"),
        (PUT_MAX, "5115 MiB"),
        (2 * TIB, "2 TiB"),
        (OBJECT_MAX, "5115 GiB"),
        (0, "0 bytes"),
    ],
)
def test_size_text(size: int, text: str) -> None:
    """A size is written exactly, in the largest unit that has no fraction."""
    assert size_text(size) == text
