"""SeaweedFS: the store of the demo, which verifies signatures in these tests."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from broker.cli.seaweedfs import SeaweedFS
from broker.store import admin

from .place import AMAZON, BUCKET, CREDENTIALS, Place

DOMAIN = "s3.localhost"
"""The hosts of buckets are below this domain."""


class WithDomain(SeaweedFS):
    """A SeaweedFS whose buckets have hosts of their own, beside their paths."""

    def _command(self) -> list[str]:
        return [*super()._command(), f"-s3.domainName={DOMAIN}"]


@contextmanager
def running(folder: Path) -> Iterator[Place]:
    """Start a server with an empty bucket and its data in ``folder``."""
    with WithDomain(folder, CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key) as server:
        admin.ensure_bucket(admin.connect(server.endpoint, CREDENTIALS), BUCKET)
        yield Place("seaweedfs", server.endpoint)


@contextmanager
def at_its_hosts(place: Place) -> Iterator[Place]:
    """Return the same store in the dialect of Amazon S3, while this process resolves the hosts of its buckets."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *args: Any, **options: Any) -> Any:
        is_below = isinstance(host, str) and f".{host}".endswith(f".{DOMAIN}")
        return resolve("127.0.0.1" if is_below else host, *args, **options)

    endpoint = place.endpoint.replace("127.0.0.1", DOMAIN)
    with mock.patch.object(socket, "getaddrinfo", resolved):
        yield replace(place, name="seaweedfs_hosts", endpoint=endpoint, dialect=AMAZON)
