"""Bundle the browser client: ``python -m tests.client.bundle``. The tools are those of its lock file."""

import subprocess
from pathlib import Path

from tests.npm import NODE, install

CLIENT = Path(__file__).parents[2] / "client"
"""The folder of the npm package."""


def bundle(*options: str) -> "subprocess.CompletedProcess[str]":
    """Run the build, with ``--check`` only to compare; return the ended process."""
    install(CLIENT)
    words = [str(NODE), "build.mjs", *options]
    return subprocess.run(words, cwd=CLIENT, capture_output=True, text=True, timeout=500, check=False)


if __name__ == "__main__":
    done = bundle()
    raise SystemExit(done.stderr or 0)
