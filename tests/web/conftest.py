"""The stop of the servers that tests of the application start."""

from collections.abc import Iterator

import pytest

from . import hypercorn_server


@pytest.fixture(autouse=True)
def servers() -> Iterator[None]:
    """Stop the servers after each test."""
    yield
    hypercorn_server.close_all()
