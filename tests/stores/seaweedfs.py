"""SeaweedFS: the store of the demo, which verifies signatures in these tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.cli.seaweedfs import SeaweedFS
from broker.store import admin

from .place import BUCKET, CREDENTIALS, Place


@contextmanager
def running(folder: Path) -> Iterator[Place]:
    """Start a server with an empty bucket and its data in ``folder``."""
    with SeaweedFS(folder, CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key) as server:
        admin.ensure_bucket(admin.connect(server.endpoint, CREDENTIALS), BUCKET)
        yield Place("seaweedfs", server.endpoint)
