"""Cloudflare's own local R2: the dialect of the real one, in Node."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.npm import NODE, install
from tests.stores.place import BUCKET, CREDENTIALS, Place

HERE = Path(__file__).parent
MOUNT = "cdn-cgi/local/r2/s3/"
"""The path before the names of buckets."""


@contextmanager
def running(folder: Path) -> Iterator[Place]:
    """Start a server with an empty bucket and its data in ``folder``."""
    install(HERE)
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
        assert url.path == f"/{MOUNT}"
        yield Place("local_r2", f"{url.scheme}://{url.netloc}", MOUNT)
        server.stdin.close()  # which ends it, as the death of this process does
