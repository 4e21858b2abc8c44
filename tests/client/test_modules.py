"""The tests of the client's modules, which run in Node.js with a fake broker and store."""

import subprocess

from tests.npm import NODE
from tests.patience import PATIENCE

from .bundle import CLIENT


def test_modules() -> None:
    """Every test of ``client/test`` passes."""
    tests = sorted(str(path) for path in (CLIENT / "test").glob("*.test.js"))
    words = [str(NODE), "--test", *tests]
    done = subprocess.run(words, cwd=CLIENT, capture_output=True, text=True, timeout=5 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout
