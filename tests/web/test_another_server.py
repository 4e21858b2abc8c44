"""The application without ``broker.server``: the tests of its edge pass under hypercorn."""

import os
import subprocess
import sys
from pathlib import Path

from .hypercorn_server import CHOSEN

MODULES = [
    "test_edge",
    "test_rate_limit",
    "test_failed_items",
    "test_promoting",
    "test_readiness",
    "test_identity",
    "test_cors",
]
"""Tests of the application itself; limits of a connection belong to a server."""


def test_application_runs_under_hypercorn() -> None:
    """Requests over sockets to hypercorn get the same responses as in Starlette's test client."""
    files = [str(Path(__file__).with_name(f"{name}.py")) for name in MODULES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    environment = {**os.environ, CHOSEN: "hypercorn"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
