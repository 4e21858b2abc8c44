"""The address of a running store, and plain HTTP requests to it."""

import http.client
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.store.dialect import UNKNOWN, Dialect, dialect_of
from broker.store.s3 import S3ObjectStore
from broker.store.timeouts import Timeouts
from tests.patience import PATIENCE

BUCKET = "media-bucket"
CREDENTIALS = Credentials("AKIDOFTHETESTS", "a/secret+access key of the tests")

AMAZON = dialect_of("https://s3.eu-central-1.amazonaws.com")
"""The dialect of Amazon S3 in a region other than its first, for stores that follow it."""


class Reply(NamedTuple):
    """A response of a store; header names are lowercase."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A store that runs: ``mount`` is the path below which it serves its buckets.

    A store of a known kind has its ``dialect``, which ``dialect_of`` returns for an endpoint of this kind.
    """

    name: str
    endpoint: str
    mount: str = ""
    bucket: str = BUCKET
    credentials: Credentials = CREDENTIALS
    dialect: Dialect = UNKNOWN

    def presigner(self, credentials: Credentials | None = None) -> Presigner:
        """Return a presigner for this store."""
        signer = credentials or self.credentials
        if self.mount:
            return MountedPresigner(signer, self.endpoint, mount=self.mount)
        return self.dialect.presigner(signer, self.endpoint)

    def object_store(self, credentials: Credentials | None = None) -> S3ObjectStore:
        """Return the port for this store, with long timeouts."""
        patient = Timeouts(connect=PATIENCE, total=PATIENCE, listing=PATIENCE, copy=PATIENCE)
        return S3ObjectStore(self.presigner(credentials), self.dialect, timeouts=patient)


class MountedPresigner(Presigner):
    """A presigner for a store below a path, which no store in production has."""

    def __init__(self, credentials: Credentials, endpoint: str, *, mount: str, region: str = "auto") -> None:
        super().__init__(credentials, endpoint, region=region)
        self._mount = mount

    def presign(self, method: str, ref: ObjectRef, **options: Any) -> str:
        return super().presign(method, self._mounted(ref), **options)

    def presign_each(self, method: str, ref: ObjectRef, name: str, values: Iterable[str], **options: Any) -> list[str]:
        return super().presign_each(method, self._mounted(ref), name, values, **options)

    def _mounted(self, ref: ObjectRef) -> ObjectRef:
        return ObjectRef(self._mount + ref.bucket, ref.key)


def new_ref(folder: str = "incoming") -> ObjectRef:
    """Return a key that no other test uses."""
    return ObjectRef(BUCKET, f"{folder}/{uuid4()}.mp3")


def send(method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Reply:
    """Send one request on a new connection, with only these headers, Host and Content-Length."""
    parts = urlsplit(url)
    assert parts.hostname
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname, parts.port, timeout=PATIENCE)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}", body, dict(headers or {}))
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
