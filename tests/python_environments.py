"""Python programs that some tests need in environments of their own, as the lock file of a folder lists them."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).parents[1] / "build"


def install(folder: Path) -> Path:
    """Install ``requirements.lock`` once for each state of the file; return the ``bin`` folder of the environment.

    The environment is below ``build``. Concurrent processes wait for each other.
    """
    target = BUILD / f"python-{folder.name}"
    stamp = target / ".installed"
    with (folder / "requirements.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(lock.read()).hexdigest()
        if not (stamp.is_file() and stamp.read_text() == digest):
            _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(target))
            _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(target), lock.name)
            stamp.write_text(digest)
    return target / "bin"


def _uv(*words: str) -> None:
    line = [str(Path(sys.executable).with_name("uv")), *words]
    done = subprocess.run(
        line, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
