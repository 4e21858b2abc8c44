"""The end of servers that tests of the application started."""

from collections.abc import Iterator

import pytest

from . import hypercorn_server


@pytest.fixture(autouse=True)
def servers() -> Iterator[None]:
    """Stop them after each test."""
    yield
    hypercorn_server.close_all()
