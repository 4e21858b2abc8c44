"""The stores that one test suite checks against the port's contract, and the known differences of each."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pytest

from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.http_client.message import NO_FIELDS
from broker.store.port import ObjectStore
from broker.store.s3 import S3ObjectStore
from tests.stores.memory import MemoryObjectStore
from tests.stores.place import Place, send

BESIDE: Final = ("seaweedfs_hosts", "ministack", "local_r2")
"""Stores that only ``make stores`` tests."""

VERIFIES_SIGNATURES = "verifies signatures"
CHECKS_THE_COPY_SOURCE = "checks the ETag of a copy's source"
KEEPS_THE_COPY_TARGET = "refuses to replace the target of a copy"
LISTS_PARTS = "lists parts"
LISTS_MULTIPARTS = "lists multipart uploads"
DATES_MULTIPARTS = "says when a multipart upload began"
COMPLETES_AGAIN = "answers a second completion like the first"
KEEPS_THE_COMPLETION_TARGET = "refuses to replace an object by a completion"
CHECKS_A_RANGES_SOURCE = "checks the ETag of the source of a range"
RETURNS_CHECKSUMS = "returns the checksum of an object that was stored with one"
STORES_ENCODINGS = "stores a Content-Encoding that the client sent"
KNOWS_A_GONE_MULTIPART = "says of a multipart upload that it is gone"
KEEPS_ONE_PART_OF_A_NUMBER = "forgets a part that was sent again"

LACKS: Mapping[str, Mapping[str, str]] = {
    "seaweedfs": {
        KEEPS_THE_COPY_TARGET: "does not know R2's cf-copy-destination-if-none-match",
        KEEPS_ONE_PART_OF_A_NUMBER: "lists both, and joins the one that the completion names",
        COMPLETES_AGAIN: "412: the object is there",
    },
    "seaweedfs_hosts": {
        KEEPS_ONE_PART_OF_A_NUMBER: "lists both, and joins the one that the completion names",
        COMPLETES_AGAIN: "412: the object is there",
    },
    "ministack": {KEEPS_THE_COPY_TARGET: "ignores If-None-Match"},
    "local_r2": {
        KEEPS_THE_COPY_TARGET: "leaves out R2's cf-copy-destination-*, which is in beta",
        LISTS_PARTS: "501 NotImplemented",
        LISTS_MULTIPARTS: "501 NotImplemented",
        COMPLETES_AGAIN: "says NoSuchUpload",
        KEEPS_THE_COMPLETION_TARGET: "ignores If-None-Match",
        CHECKS_A_RANGES_SOURCE: "501 NotImplemented",
        RETURNS_CHECKSUMS: "ignores x-amz-checksum-*",
    },
    "moto": {
        LISTS_PARTS: "its document is a ListPartsResponse, where S3 has a ListPartsResult",
        DATES_MULTIPARTS: "says 2010-11-10 of all",
        KNOWS_A_GONE_MULTIPART: "500",
        KEEPS_THE_COPY_TARGET: "does not know R2's cf-copy-destination-if-none-match",
        CHECKS_THE_COPY_SOURCE: "ignores x-amz-copy-source-if-match",
        CHECKS_A_RANGES_SOURCE: "ignores x-amz-copy-source-if-match",
        RETURNS_CHECKSUMS: "needs x-amz-sdk-checksum-algorithm beside the checksum, which no upload of ours sends",
        VERIFIES_SIGNATURES: "takes every signature for good",
    },
    "memory": {VERIFIES_SIGNATURES: "has none", COMPLETES_AGAIN: "does as the local R2"},
}
"""Which store does not do what, and why. The suite expects exactly this: a store that learns is a failure too."""


def params(names: Iterable[str]) -> list[Any]:
    """Return the parameters of a fixture of stores."""
    return [pytest.param(name, marks=pytest.mark.stores) if name in BESIDE else name for name in names]


class Subject(Protocol):
    """A store under contract."""

    @property
    def name(self) -> str:
        """Its name in ``LACKS``."""

    @property
    def store(self) -> ObjectStore:
        """The port over it."""

    def put(
        self,
        ref: ObjectRef,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str],
        fields: Mapping[str, str] = NO_FIELDS,
    ) -> None:
        """Store an object as by a client's PUT, which may have other header ``fields``."""

    def put_part(self, ref: ObjectRef, s3_upload_id: str, number: int, body: bytes) -> str:
        """Store a part as by a client's PUT; return its ETag."""

    def with_wrong_secret(self) -> ObjectStore:
        """Return the same store with a wrong secret."""

    def out_of_reach(self) -> ObjectStore:
        """Return a store of the same kind at an address without a server."""


@dataclass
class Real:
    """A store that runs, behind the adapter."""

    place: Place
    store: ObjectStore

    @property
    def name(self) -> str:
        return self.place.name

    def put(
        self,
        ref: ObjectRef,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str],
        fields: Mapping[str, str] = NO_FIELDS,
    ) -> None:
        headers = {
            "content-type": content_type,
            **{f"x-amz-meta-{name}": metadata[name] for name in metadata},
            **fields,
        }
        url = self.place.presigner().presign("PUT", ref, now=int(time.time()), expires_in=60, headers=headers)
        assert send("PUT", url, headers, body).status == 200

    def put_part(self, ref: ObjectRef, s3_upload_id: str, number: int, body: bytes) -> str:
        headers, query = {"content-length": str(len(body))}, {"partNumber": str(number), "uploadId": s3_upload_id}
        url = self.place.presigner().presign(
            "PUT", ref, now=int(time.time()), expires_in=60, headers=headers, query=query
        )
        reply = send("PUT", url, headers, body)
        assert reply.status == 200, reply.body
        return reply.headers["etag"].strip('"')

    def with_wrong_secret(self) -> ObjectStore:
        return self.place.object_store(Credentials(self.place.credentials.access_key_id, "another secret"))

    def out_of_reach(self) -> ObjectStore:
        return S3ObjectStore(Presigner(self.place.credentials, "http://127.0.0.1:1"), self.place.dialect)


@dataclass
class Memory:
    """The store of the fast tests."""

    store: MemoryObjectStore
    name: str = "memory"

    def put(
        self,
        ref: ObjectRef,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str],
        fields: Mapping[str, str] = NO_FIELDS,
    ) -> None:
        encoding = fields.get("Content-Encoding", "")
        self.store.put(ref, body, content_type=content_type, metadata=metadata, content_encoding=encoding)

    def put_part(self, ref: ObjectRef, s3_upload_id: str, number: int, body: bytes) -> str:
        assert self.store.multiparts[s3_upload_id].ref == ref
        self.store.put_part(s3_upload_id, number, body)
        return self.store.multiparts[s3_upload_id].parts[number][0].etag

    def with_wrong_secret(self) -> ObjectStore:
        return self.store

    def out_of_reach(self) -> ObjectStore:
        store = MemoryObjectStore()
        whole_objects = {"head", "first_bytes", "more_bytes", "put_empty", "copy", "delete", "delete_many"}
        in_parts = {"create_multipart", "open_multiparts", "list_parts", "copy_part", "send_part", "send_object"}
        store.failing = whole_objects | in_parts | {"complete_multipart", "abort_multipart", "list_objects", "ping"}
        return store


def memory() -> Memory:
    """Return a new store, without the bucket that no store has."""
    store = MemoryObjectStore()
    store.missing_buckets.add("no-such-bucket")
    return Memory(store)


def does(subject: Subject, what: str) -> bool:
    """Whether ``subject`` is expected to do ``what``."""
    return what not in LACKS[subject.name]
