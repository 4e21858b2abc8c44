"""The served browser client is built from its sources, and small."""

import gzip

import pytest

from broker.web.assets import STATIC

from .bundle import bundle

SERVED_MAX = {"broker-upload.js": 8_000, "broker-uppy.js": 3_000}
"""Bytes of each served module with gzip."""


def test_served_modules_are_up_to_date() -> None:
    """The served modules are what the build makes from ``client/src``."""
    done = bundle("--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVED_MAX)
def test_served_module_is_small(name: str) -> None:
    """The client has at most 8 KB with gzip, and the module for Uppy 3 KB."""
    assert len(gzip.compress((STATIC / name).read_bytes(), 9)) <= SERVED_MAX[name]
