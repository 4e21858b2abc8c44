"""The signature of a part: a store itself refuses a PUT that differs from the signed one.

Over the two stores that verify signatures; the broker takes no part. Behind a part's URL other operations stand very
near: its query without the part lists, aborts or completes, and without both it writes the object.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import pytest

from broker.core.model import ObjectRef, Part
from broker.crypto.presigner import EMPTY
from broker.store.port import ObjectStore
from tests.stores.place import Place, Reply, new_ref, send

from .subjects import LACKS as STORE_LACKS
from .subjects import LISTS_PARTS
from .test_presigned_put import LACKS, NEEDS_THE_SIGNATURE, NO_SIGNATURE, REFUSES_UNSIGNED_AMZ_HEADERS

BODY: Final = b"ID3\x04" + bytes(96)
OTHER: Final = b"RIFF" + bytes(96)
HEADERS: Final = {"content-type": "audio/mpeg"}


class SignedPart:
    """The first part of an upload as the broker mints its URL, for ``BODY``."""

    def __init__(self, place: Place, store: ObjectStore, ref: ObjectRef, s3_upload_id: str) -> None:
        self.place, self.store, self.ref, self.s3_upload_id = place, store, ref, s3_upload_id
        self.headers = {"content-length": str(len(BODY))}
        self.url = self.signed()

    def signed(self, *, age: int = 0) -> str:
        """Return the URL, signed ``age`` seconds ago."""
        query = {"partNumber": "1", "uploadId": self.s3_upload_id}
        now = int(time.time()) - age
        return self.place.presigner().presign(
            "PUT", self.ref, now=now, expires_in=60, headers=self.headers, query=query
        )

    def put(self, body: bytes = BODY, changed: Mapping[str, str | None] = EMPTY, *, url: str | None = None) -> Reply:
        """Send it, some headers changed, or left out where ``None``."""
        headers = {name: value for name, value in {**self.headers, **changed}.items() if value is not None}
        return send("PUT", url or self.url, headers, body)

    def put_to(self, old: str, new: str) -> Reply:
        """Send other bytes to a URL that differs in one place."""
        assert self.url.count(old) == 1
        return self.put(OTHER, url=self.url.replace(old, new))

    def put_sized(self, body: bytes) -> Reply:
        """Send a body with its own length."""
        return self.put(body, {"content-length": str(len(body))})

    async def joined(self, sent: Reply) -> bytes | None:
        """Complete the upload with the part that was ``sent``; return the object's bytes."""
        part = Part(1, len(BODY), sent.headers["etag"].strip('"'))
        if await self.store.complete_multipart(self.ref, self.s3_upload_id, [part]) is None:
            return None
        found = await self.store.first_bytes(self.ref, 2 * len(BODY))
        return found.first_bytes if found else None


@asynccontextmanager
async def begun(place: Place) -> AsyncIterator[SignedPart]:
    """Create a multipart upload without parts."""
    store, ref = place.object_store(), new_ref()
    try:
        yield SignedPart(place, store, ref, await store.create_multipart(ref, headers=HEADERS))
    finally:
        await store.close()


async def test_a_signed_part_is_stored(place: Place) -> None:
    """The signed PUT of a part is stored and needs no Content-Type."""
    async with begun(place) as part:
        sent = part.put()
        assert sent.status == 200
        assert await part.joined(sent) == BODY


async def test_a_browsers_content_type_is_harmless(place: Place) -> None:
    """A Content-Type that a browser adds to a part does not break the signature."""
    async with begun(place) as part:
        sent = part.put(BODY, {"content-type": "text/html"})
        assert sent.status == 200
        await part.joined(sent)
        found = await part.store.head(part.ref)
        assert found
        assert found.content_type == "audio/mpeg"


ALTERED: dict[str, Callable[[SignedPart], Reply]] = {
    "longer": lambda part: part.put_sized(OTHER + b"x"),
    "shorter": lambda part: part.put_sized(OTHER[:-1]),
    "empty": lambda part: part.put_sized(b""),
    "chunked": lambda part: part.put(
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(OTHER), OTHER), {"content-length": None, "transfer-encoding": "chunked"}
    ),
    "another part": lambda part: part.put_to("partNumber=1", "partNumber=2"),
    "another part beside it": lambda part: part.put_to("partNumber=1", "partNumber=1&partNumber=2"),
    "no part": lambda part: part.put_to("partNumber=1&", ""),
    "no upload": lambda part: part.put_to(f"&uploadId={part.s3_upload_id}", ""),
    "the object itself": lambda part: part.put_to(f"partNumber=1&uploadId={part.s3_upload_id}&", ""),
    "another key": lambda part: part.put_to("/incoming/", "/media/"),
    "stretched expiry": lambda part: part.put_to("X-Amz-Expires=60", "X-Amz-Expires=600"),
    "a tampered signature": lambda part: part.put(OTHER, url=part.url[:-1] + ("0" if part.url[-1] != "0" else "1")),
    NO_SIGNATURE: lambda part: part.put(OTHER, url=part.url.split("&X-Amz-Signature=")[0]),
    "no signed length": lambda part: part.put_to("content-length%3Bhost", "host"),
    "long since expired": lambda part: part.put(OTHER, url=part.signed(age=120)),
    "expired and stretched": lambda part: part.put(
        OTHER, url=part.signed(age=120).replace("X-Amz-Expires=60", "X-Amz-Expires=600")
    ),
}


@pytest.mark.parametrize("what", ALTERED)
async def test_an_unsigned_part_is_refused(place: Place, what: str) -> None:
    """A PUT that differs from the signed one is refused, and the stored part stays."""
    async with begun(place) as part:
        sent = part.put()

        refused = ALTERED[what](part)

        if what == NO_SIGNATURE and NEEDS_THE_SIGNATURE in LACKS[place.name]:
            assert refused.status == 200
            return
        assert refused.status in (400, 403, 411)

        if LISTS_PARTS not in STORE_LACKS[place.name]:
            listed = await part.store.list_parts(part.ref, part.s3_upload_id)
            assert listed == [Part(1, len(BODY), sent.headers["etag"].strip('"'))]
        assert await part.store.head(part.ref) is None
        assert await part.joined(sent) == BODY


async def test_a_part_url_fits_one_upload(place: Place) -> None:
    """The URL of a part is refused for another multipart upload of the key."""
    async with begun(place) as part:
        sent = part.put()
        other = SignedPart(place, part.store, part.ref, await part.store.create_multipart(part.ref, headers=HEADERS))

        assert part.put_to(part.s3_upload_id, other.s3_upload_id).status == 403

        assert await part.joined(sent) == BODY
        assert other.put().status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_a_part_url_only_sends_the_part(place: Place, method: str) -> None:
    """The URL of a part cannot list, complete or abort its multipart upload."""
    async with begun(place) as part:
        sent = part.put()
        for url in (part.url, part.url.replace("partNumber=1&", "")):
            assert send(method, url, part.headers, BODY).status == 403
        assert await part.store.head(part.ref) is None
        assert await part.joined(sent) == BODY


async def test_a_part_may_be_sent_again(place: Place) -> None:
    """If a part is sent again, its last bytes are stored."""
    async with begun(place) as part:
        part.put(OTHER)
        assert await part.joined(part.put()) == BODY


async def test_an_aborted_upload_takes_no_part(place: Place) -> None:
    """A part of an aborted multipart upload is refused."""
    async with begun(place) as part:
        part.put()
        await part.store.abort_multipart(part.ref, part.s3_upload_id)

        refused = part.put()

        assert refused.status == 404
        assert b"<Code>NoSuchUpload</Code>" in refused.body


async def test_a_late_part_changes_nothing(place: Place) -> None:
    """A part that arrives after completion does not change the object."""
    async with begun(place) as part:
        assert await part.joined(part.put()) == BODY
        before = await part.store.head(part.ref)

        assert part.put(OTHER).status == 404

        assert await part.store.head(part.ref) == before
        assert await part.store.first_bytes(part.ref, len(BODY)) == (before, BODY)


async def test_an_unsigned_copy_source_makes_no_part(place: Place) -> None:
    """P14: an unsigned copy source makes no part, unless the store is known to act on it."""
    async with begun(place) as secret, begun(place) as part:
        assert await secret.joined(secret.put(OTHER)) == OTHER
        sent = part.put()
        refuses = REFUSES_UNSIGNED_AMZ_HEADERS not in LACKS[place.name]

        reply = part.put(BODY, {"x-amz-copy-source": f"{secret.ref.bucket}/{secret.ref.key}"})

        assert reply.status == (403 if refuses else 200)
        if refuses:
            assert await part.joined(sent) == BODY
