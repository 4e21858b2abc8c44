"""Requests to a store for its table: signed by the broker's presigner, and changed before they are sent."""

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.core.model import ObjectRef
from broker.crypto.presigner import EMPTY
from broker.crypto.sigv4 import Credentials

from .place import Place, Reply, new_ref, send

BODY: Final = b"ID3\x04" + bytes(96)
OTHER: Final = b"RIFF" + bytes(96)
REFUSED: Final = frozenset({400, 401, 403, 411})


@dataclass
class Signed:
    """A PUT of ``BODY`` as the broker signs it, ``age`` seconds ago."""

    place: Place
    fields: Mapping[str, str] = field(default_factory=dict)
    age: int = 0
    expires_in: int = 60
    query: Mapping[str, str] = field(default_factory=dict)
    ref: ObjectRef = field(default_factory=new_ref)
    credentials: Credentials | None = None

    def __post_init__(self) -> None:
        base = {"content-type": "audio/mpeg", "content-length": str(len(BODY)), "if-none-match": "*"}
        self.headers = {"content-length": str(len(BODY))} if self.query else {**base, **self.fields}
        self.url = self.place.presigner(self.credentials).presign(
            "PUT",
            self.ref,
            now=int(time.time()) - self.age,
            expires_in=self.expires_in,
            headers=self.headers,
            query=self.query,
        )

    def send(
        self, body: bytes = BODY, changes: Mapping[str, str | None] = EMPTY, *, url: str = "", method: str = "PUT"
    ) -> Reply:
        """Send it with some ``changes`` of its header fields; ``None`` leaves one out."""
        headers = {name: value for name, value in {**self.headers, **changes}.items() if value is not None}
        return send(method, url or self.url, headers, body)

    def is_refused(
        self, body: bytes = BODY, changes: Mapping[str, str | None] = EMPTY, *, url: str = "", method: str = "PUT"
    ) -> bool:
        """Return whether the store refuses the changed request; the unchanged one is then stored."""
        assert url != self.url
        refused = self.send(body, changes, url=url, method=method).status in REFUSED
        return refused and self.send().status == 200

    def replaced(self, old: str, new: str) -> str:
        """Return the URL with another text in one place."""
        assert self.url.count(old) == 1
        return self.url.replace(old, new)


def get(
    place: Place, ref: ObjectRef, *, query: Mapping[str, str] = EMPTY, credentials: Credentials | None = None
) -> Reply:
    """GET an object."""
    presigner = place.presigner(credentials)
    return send("GET", presigner.presign("GET", ref, now=int(time.time()), expires_in=60, query=query))


def stored(place: Place) -> ObjectRef:
    """Store ``BODY``; return its location."""
    signed = Signed(place)
    assert signed.send().status == 200
    return signed.ref


def md5(body: bytes) -> str:
    """Return the value of Content-MD5."""
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def sha256(body: bytes) -> str:
    """Return the value of x-amz-checksum-sha256."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def etag(body: bytes) -> str:
    """Return the ETag of an object that was sent by one PUT."""
    return hashlib.md5(body).hexdigest()
