"""Every operation of the port, with a good response of a store and the result of it."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from broker.core.model import CopiedObject, ObjectHead, ObjectRef, OpenMultipart, Part, StoredObject
from broker.core.tombstone import HEADERS
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.errors import StorageUnavailableError
from broker.store import circuit_breaker
from broker.store.dialect import UNKNOWN, Dialect
from broker.store.ended_call import ObserveCall
from broker.store.port import ObjectStore, Payload
from broker.store.s3 import S3ObjectStore
from broker.store.timeouts import Timeouts
from tests.patience import PATIENCE, SLACK

from .wire import Act, Wire, answer, wire

CREDENTIALS = Credentials("AKCANARY", "the canary secret")
NOW = 1_800_000_000
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
REF = ObjectRef("bucket-canary", "incoming/key-canary.mp3")
TARGET = ObjectRef("bucket-canary", "media/key-canary.mp3")
TIMEOUTS = Timeouts(connect=0.3, total=0.8, listing=0.8, copy=0.8)
"""For what is to end by a deadline."""

LATE = Timeouts(connect=3, total=3, listing=3, copy=3)
"""For what is to end by a deadline, and has much to do before it on a busy machine."""

PATIENT = Timeouts(connect=PATIENCE, total=PATIENCE, listing=PATIENCE, copy=PATIENCE)
"""For what is not: a busy machine may take longer than those above."""

OBJECT = {"ETag": '"abc"', "Last-Modified": DATE, "Content-Type": "audio/mpeg"}
COPIED = (
    b"<CopyObjectResult><ETag>&quot;abc&quot;</ETag>"
    b"<LastModified>2027-01-15T08:00:00.250Z</LastModified></CopyObjectResult>"
)
DELETED = (
    b"<DeleteResult><Deleted><Key>a</Key></Deleted>"
    b"<Error><Key>b</Key><Code>AccessDenied</Code><Message>told by 127.0.0.1</Message></Error></DeleteResult>"
)
CREATED = b"<InitiateMultipartUploadResult><UploadId>an-id</UploadId></InitiateMultipartUploadResult>"
OPEN = (
    b"<ListMultipartUploadsResult>"
    b"<Upload><Key>incoming/key-canary.mp3.more</Key><UploadId>0</UploadId><Initiated>2027-01-15T07:00:00Z</Initiated></Upload>"
    b"<Upload><Key>incoming/key-canary.mp3</Key><UploadId>2</UploadId><Initiated>2027-01-15T08:00:02Z</Initiated></Upload>"
    b"<Upload><Key>incoming/key-canary.mp3</Key><UploadId>1</UploadId><Initiated>2027-01-15T08:00:01Z</Initiated></Upload>"
    b"</ListMultipartUploadsResult>"
)
COPIED_PART = b"<CopyPartResult><ETag>&quot;abc&quot;</ETag></CopyPartResult>"
COMPLETED = b"<CompleteMultipartUploadResult><ETag>&quot;abc-1&quot;</ETag></CompleteMultipartUploadResult>"


def listed(*parts: tuple[int, int], truncated: bool = False, moment: str = "2027-01-15T08:00:00Z") -> bytes:
    """Return a page of ListParts with parts of these numbers and sizes."""
    document = "".join(
        f"<Part><PartNumber>{number}</PartNumber><Size>{size}</Size><ETag>&quot;e{number}&quot;</ETag>"
        f"<LastModified>{moment}</LastModified></Part>"
        for number, size in parts
    )
    return f"<ListPartsResult><IsTruncated>{str(truncated).lower()}</IsTruncated>{document}</ListPartsResult>".encode()


def payload(*pieces: bytes, size: int | None = None, is_repeatable: bool = True) -> Payload:
    """Return a payload of these pieces."""

    async def produce() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    return Payload(sum(map(len, pieces)) if size is None else size, produce, is_repeatable)


class Verb(NamedTuple):
    """One verb: its call, a good answer, and the result of that answer."""

    call: Callable[[ObjectStore], Awaitable[Any]]
    good: bytes
    result: Any


VERBS = {
    "head": Verb(
        lambda store: store.head(REF),
        answer(200, {**OBJECT, "Content-Length": "11"}),
        StoredObject(11, "audio/mpeg", "abc", NOW, {}),
    ),
    "first_bytes": Verb(
        lambda store: store.first_bytes(REF, 4),
        answer(206, {**OBJECT, "Content-Range": "bytes 0-3/11"}, b"ID3\x04"),
        ObjectHead(StoredObject(11, "audio/mpeg", "abc", NOW, {}), b"ID3\x04"),
    ),
    "more_bytes": Verb(
        lambda store: store.more_bytes(REF, 5, 4, if_match="abc"),
        answer(206, {**OBJECT, "Content-Range": "bytes 5-8/11"}, b"more"),
        b"more",
    ),
    "put_empty": Verb(lambda store: store.put_empty(REF, headers=HEADERS), answer(200, {"ETag": '"abc"'}), None),
    "copy": Verb(
        lambda store: store.copy(REF, TARGET, if_match="abc", headers={"content-type": "audio/mpeg"}),
        answer(200, body=COPIED),
        CopiedObject("abc", NOW),
    ),
    "delete": Verb(lambda store: store.delete(REF), answer(204), None),
    "delete_many": Verb(
        lambda store: store.delete_many("bucket-canary", ["a", "b"]), answer(200, body=DELETED), {"b": "AccessDenied"}
    ),
    "create_multipart": Verb(
        lambda store: store.create_multipart(REF, headers={"content-type": "audio/mpeg"}),
        answer(200, body=CREATED),
        "an-id",
    ),
    "open_multiparts": Verb(
        lambda store: store.open_multiparts("bucket-canary", REF.key),
        answer(200, body=OPEN),
        [
            OpenMultipart(f"{REF.key}.more", "0", NOW - 3600),
            OpenMultipart(REF.key, "1", NOW + 1),
            OpenMultipart(REF.key, "2", NOW + 2),
        ],
    ),
    "list_parts": Verb(
        lambda store: store.list_parts(REF, "an-id"),
        answer(200, body=listed((1, 5), (3, 4))),
        [Part(1, 5, "e1"), Part(3, 4, "e3")],
    ),
    "copy_part": Verb(
        lambda store: store.copy_part(REF, TARGET, "an-id", 7, if_match="abc", first_byte=10, size=5),
        answer(200, body=COPIED_PART),
        True,
    ),
    "complete_multipart": Verb(
        lambda store: store.complete_multipart(REF, "an-id", [Part(1, 5, "e&1"), Part(2, 4, "e2")]),
        answer(200, body=COMPLETED),
        True,
    ),
    "abort_multipart": Verb(lambda store: store.abort_multipart(REF, "an-id"), answer(204), None),
    "send_object": Verb(
        lambda store: store.send_object(REF, payload(b"some", b" bytes"), headers={"content-type": "audio/mpeg"}),
        answer(200, {"ETag": '"abc"'}),
        None,
    ),
    "send_part": Verb(
        lambda store: store.send_part(REF, "an-id", 7, payload(b"some", b" bytes")),
        answer(200, {"ETag": '"abc"'}),
        Part(7, 10, "abc"),
    ),
    "ping": Verb(
        lambda store: store.ping("bucket-canary"),
        answer(404, body=b"<Error><Code>NoSuchKey</Code></Error>"),
        None,
    ),
}

every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())


@asynccontextmanager
async def store_at(
    endpoint: str,
    timeouts: Timeouts = PATIENT,
    *,
    dialect: Dialect = UNKNOWN,
    observe: ObserveCall | None = None,
    **limits: int,
) -> AsyncIterator[S3ObjectStore]:
    """Return the adapter for ``endpoint``, whose clock stands still at ``NOW``."""
    presigner = Presigner(CREDENTIALS, endpoint)
    store = S3ObjectStore(presigner, dialect, clock=lambda: NOW, timeouts=timeouts, observe=observe, **limits)
    try:
        yield store
    finally:
        await store.close()


def check_discreet(reason: str) -> None:
    """Check that a reason has no secret, no endpoint and no text of an error response, because it is logged."""
    for secret in ("canary", "CANARY", "127.0.0.1", "localhost", "http", "X-Amz", "Signature=", "told by", "\n"):
        assert secret not in reason


@asynccontextmanager
async def facing(*acts: Act, timeouts: Timeouts = PATIENT, **limits: int) -> AsyncIterator[tuple[S3ObjectStore, Wire]]:
    """Return the adapter for a server with these acts."""
    async with (
        wire(*acts) as server,
        store_at(f"http://127.0.0.1:{server.port}", timeouts, dialect=UNKNOWN, observe=None, **limits) as store,
    ):
        yield store, server


async def unavailable(store: ObjectStore, verb: Verb, within: float = TIMEOUTS.total) -> str:
    """Return the reason of the error of ``verb``, which must come in time and without a secret."""
    began = time.monotonic()
    with pytest.raises(StorageUnavailableError) as caught:
        await verb.call(store)
    assert time.monotonic() - began < within + SLACK
    check_discreet(caught.value.reason)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason


def opens_at_once(monkeypatch: pytest.MonkeyPatch, *, pause: float) -> None:
    """Let the failures that open a circuit need no span of time, and the first probe come after ``pause`` seconds."""
    monkeypatch.setattr(circuit_breaker, "SPAN", 0.0)
    monkeypatch.setattr(circuit_breaker, "PROBE_PAUSE", pause)
    monkeypatch.setattr(circuit_breaker, "PROBE_PAUSE_MAX", 60.0)
