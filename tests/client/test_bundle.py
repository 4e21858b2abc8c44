"""The served browser client is built from its sources, and small."""

import gzip

from broker.web.assets import STATIC

from .bundle import bundle

SERVED_MAX = 8 * 1024
"""Bytes of the served module with gzip."""


def test_served_module_is_up_to_date() -> None:
    """The served module is what the build makes from ``client/src``."""
    done = bundle("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_served_module_is_small() -> None:
    """The served module has at most 8 KB with gzip."""
    assert len(gzip.compress((STATIC / "broker-upload.js").read_bytes(), 9)) <= SERVED_MAX
