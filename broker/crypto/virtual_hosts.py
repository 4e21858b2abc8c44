"""Presigned URLs for buckets that have hosts of their own, such as ``https://songs.s3.eu-west-1.amazonaws.com/key``.

Source: docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html (virtual-hosted style).
"""

from collections.abc import Iterable, Mapping
from functools import partial

from broker.core.model import ObjectRef

from .presigner import EMPTY, Presigner
from .sigv4 import Credentials


class VirtualHostPresigner(Presigner):
    """Presigns requests to the hosts of the buckets below one endpoint.

    The name of a bucket must be one label of a host name: the endpoint's certificate does not cover a name with a dot.
    """

    def __init__(self, credentials: Credentials, endpoint: str, *, region: str = "auto") -> None:
        super().__init__(credentials, endpoint, region=region)
        self._new = partial(Presigner, credentials, region=region)
        self._hosts: dict[str, Presigner] = {}

    def endpoint_of(self, bucket: str) -> str:
        """Return scheme and host of the URLs of a bucket."""
        return self._at(bucket).endpoint

    def presign(
        self,
        method: str,
        ref: ObjectRef,
        *,
        now: int,
        expires_in: int,
        headers: Mapping[str, str] = EMPTY,
        query: Mapping[str, str] = EMPTY,
    ) -> str:
        """Return a URL as ``Presigner.presign`` does."""
        at, path = self._at(ref.bucket), ObjectRef("", ref.key)
        return at.presign(method, path, now=now, expires_in=expires_in, headers=headers, query=query)

    def presign_each(
        self,
        method: str,
        ref: ObjectRef,
        name: str,
        values: Iterable[str],
        *,
        now: int,
        expires_in: int,
        headers: Mapping[str, str] = EMPTY,
        query: Mapping[str, str] = EMPTY,
    ) -> list[str]:
        """Return URLs as ``Presigner.presign_each`` does."""
        at, path = self._at(ref.bucket), ObjectRef("", ref.key)
        return at.presign_each(method, path, name, values, now=now, expires_in=expires_in, headers=headers, query=query)

    def _at(self, bucket: str) -> Presigner:
        found = self._hosts.get(bucket)
        if found is None:
            scheme, _, host = self.endpoint.partition("://")
            found = self._hosts[bucket] = self._new(f"{scheme}://{bucket}.{host}")
        return found
