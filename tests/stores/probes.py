"""What a store verifies: one small check for each row of the table in docs/stores.md.

A check returns whether the store does what its row says, or raises ``StorageUnavailableError`` or ``ClientError``.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final
from unittest import mock

from botocore.exceptions import ClientError

from broker.core.limits import PART_MIN
from broker.core.model import ObjectRef, Part
from broker.crypto.sigv4 import Credentials
from broker.errors import StorageUnavailableError
from broker.store import admin, bucket_rules
from broker.store.dialect import Addressing
from broker.store.s3 import S3ObjectStore

from .place import Place, Reply, new_ref, send
from .signed_puts import BODY, OTHER, REFUSED, Signed, etag, get, md5, sha256, stored

Probe = Callable[[Place], bool]
StoreProbe = Callable[[Place, S3ObjectStore], Awaitable[bool]]

HEADERS: Final = {"content-type": "audio/mpeg"}
CHUNKED: Final = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
ORIGIN: Final = "https://app.example"


def tampered(signed: Signed) -> bool:
    return signed.is_refused(url=signed.url[:-1] + ("0" if signed.url[-1] != "0" else "1"))


def without(signed: Signed, since: str) -> bool:
    return signed.is_refused(url=signed.url.partition(since)[0] + "?" * (since[0] == "?"))


def moved(signed: Signed) -> bool:
    return signed.is_refused(url=signed.replaced("/incoming/", "/media/"))


def added(signed: Signed) -> bool:
    return signed.is_refused(url=signed.url.replace("?", "?partNumber=1&"))


def stretched(signed: Signed) -> bool:
    return signed.send(url=signed.replaced("X-Amz-Expires=60", "X-Amz-Expires=600")).status in REFUSED


def by(place: Place, key_id: str, secret: str) -> bool:
    return Signed(place, credentials=Credentials(key_id, secret)).send().status in REFUSED


def copied_by_a_put(place: Place) -> bool:
    source = stored(place)
    return Signed(place).is_refused(OTHER, {"x-amz-copy-source": f"{source.bucket}/{source.key}"})


def twice(signed: Signed) -> bool:
    return [signed.send().status, signed.send(OTHER).status] == [200, 412]


async def has_checksum(place: Place, store: S3ObjectStore) -> bool:
    signed = Signed(place, {"x-amz-checksum-sha256": sha256(BODY)})
    assert signed.send().status == 200
    found = await store.first_bytes(signed.ref, 4, checksum=True)
    return found is not None and found.stored.sha256 is not None


async def copy_is_conditional(place: Place, store: S3ObjectStore) -> bool:
    return await store.copy(stored(place), new_ref("media"), if_match=etag(OTHER), headers=HEADERS) is None


async def copy_is_create_only(place: Place, store: S3ObjectStore) -> bool:
    source, target = stored(place), new_ref("media")
    assert await store.copy(source, target, if_match=etag(BODY), headers=HEADERS)
    return await store.copy(source, target, if_match=etag(BODY), headers=HEADERS) is None


async def range_is_conditional(place: Place, store: S3ObjectStore) -> bool:
    source, target = stored(place), new_ref("media")
    s3_upload_id = await store.create_multipart(target, headers=HEADERS)
    return not await store.copy_part(
        source, target, s3_upload_id, 1, if_match=etag(OTHER), first_byte=0, size=len(BODY)
    )


def part(place: Place, ref: ObjectRef, s3_upload_id: str, number: int = 1) -> Signed:
    return Signed(place, ref=ref, query={"partNumber": str(number), "uploadId": s3_upload_id})


async def part_has_its_length(place: Place, store: S3ObjectStore) -> bool:
    ref = new_ref()
    signed = part(place, ref, await store.create_multipart(ref, headers=HEADERS))
    return signed.is_refused(BODY + b"x", {"content-length": str(len(BODY) + 1)})


async def lists_parts(place: Place, store: S3ObjectStore) -> bool:
    ref = new_ref()
    s3_upload_id = await store.create_multipart(ref, headers=HEADERS)
    assert part(place, ref, s3_upload_id).send().status == 200
    return await store.list_parts(ref, s3_upload_id) == [Part(1, len(BODY), etag(BODY))]


async def lists_multiparts(_place: Place, store: S3ObjectStore) -> bool:
    ref = new_ref()
    s3_upload_id = await store.create_multipart(ref, headers=HEADERS)
    return [found.s3_upload_id for found in await store.open_multiparts(ref.bucket, ref.key)] == [s3_upload_id]


async def aborted_is_gone(place: Place, store: S3ObjectStore) -> bool:
    ref = new_ref()
    signed = part(place, ref, await store.create_multipart(ref, headers=HEADERS))
    await store.abort_multipart(ref, signed.query["uploadId"])
    return signed.send().status == 404


async def completion_is_create_only(place: Place, store: S3ObjectStore) -> bool:
    ref = stored(place)
    signed = part(place, ref, await store.create_multipart(ref, headers=HEADERS))
    parts = [Part(1, len(BODY), signed.send().headers["etag"].strip('"'))]
    return not await store.complete_multipart(ref, signed.query["uploadId"], parts)


async def refuses_parts(place: Place, store: S3ObjectStore, sizes: list[int]) -> bool:
    ref, parts = new_ref(), []
    s3_upload_id = await store.create_multipart(ref, headers=HEADERS)
    for number, size in enumerate(sizes, 1):
        query, headers = {"partNumber": str(number), "uploadId": s3_upload_id}, {"content-length": str(size)}
        url = place.presigner().presign("PUT", ref, now=int(time.time()), expires_in=60, headers=headers, query=query)
        reply = send("PUT", url, headers, bytes(size))
        assert reply.status == 200, reply.body
        parts.append(Part(number, size, reply.headers["etag"].strip('"')))
    try:
        return not await store.complete_multipart(ref, s3_upload_id, parts)
    except StorageUnavailableError:
        return True


def rules(place: Place) -> Any:
    """Return boto3's client of the store, with the rules of the bucket that ``broker.store.admin`` writes."""
    dialect = replace(place.dialect, addressing=Addressing.PATH)
    with mock.patch.object(admin, "dialect_of", return_value=dialect):
        client = admin.connect(f"{place.endpoint}/{place.mount}", place.credentials)
    admin.put_cors(client, place.bucket, [ORIGIN])
    return client


def preflight(place: Place, origin: str, fields: str = "content-type,if-none-match") -> Reply:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": fields,
    }
    return send("OPTIONS", Signed(place).url, headers)


def keeps_cors(place: Place) -> bool:
    found = rules(place).get_bucket_cors(Bucket=place.bucket)["CORSRules"]
    return bool(found == [bucket_rules.cors_rule([ORIGIN])])


def allows_origin(place: Place) -> bool:
    rules(place)
    return preflight(place, ORIGIN).headers.get("access-control-allow-origin") == ORIGIN


def refuses_origin(place: Place) -> bool:
    rules(place)
    return "access-control-allow-origin" not in preflight(place, "https://evil.example").headers


def keeps_lifecycle(place: Place) -> bool:
    client = rules(place)
    admin.put_lifecycle(client, place.bucket, "incoming/", 3)
    found = client.get_bucket_lifecycle_configuration(Bucket=place.bucket)["Rules"]
    return bool(found == bucket_rules.lifecycle_rules("incoming/", 3))


def overrides(place: Place) -> bool:
    query = {"response-content-disposition": "attachment"}
    return get(place, stored(place), query=query).headers.get("content-disposition") == "attachment"


PRESIGNED: dict[str, Probe] = {
    "a changed signature": lambda place: tampered(Signed(place)),
    "a removed signature": lambda place: without(Signed(place), "&X-Amz-Signature="),
    "an anonymous request": lambda place: without(Signed(place), "?X-Amz-"),
    "the URL for another key": lambda place: moved(Signed(place)),
    "the URL for another method": lambda place: (
        {Signed(place, ref=stored(place)).send(method="DELETE").status} <= REFUSED
    ),
    "an added query parameter": lambda place: added(Signed(place)),
    "an expired URL": lambda place: Signed(place, age=120).send().status in REFUSED,
    "an expired URL with a larger X-Amz-Expires": lambda place: stretched(Signed(place, age=120)),
    "a URL signed two hours ahead": lambda place: Signed(place, age=-7200).send().status in REFUSED,
    "an unknown access key": lambda place: by(place, "AKUNKNOWN", place.credentials.secret_access_key),
    "a wrong secret": lambda place: by(place, place.credentials.access_key_id, "another secret"),
    "another Content-Type": lambda place: Signed(place).is_refused(BODY, {"content-type": "text/html"}),
    "a PUT without Content-Type": lambda place: Signed(place).is_refused(BODY, {"content-type": None}),
    "a longer body": lambda place: Signed(place).is_refused(BODY + b"x", {"content-length": str(len(BODY) + 1)}),
    "a shorter body": lambda place: Signed(place).is_refused(BODY[:-1], {"content-length": str(len(BODY) - 1)}),
    "a chunked body": lambda place: Signed(place).is_refused(
        CHUNKED, {"content-length": None, "transfer-encoding": "chunked"}
    ),
    "a PUT without If-None-Match": lambda place: Signed(place).is_refused(BODY, {"if-none-match": None}),
    "an unsigned x-amz-meta- field": lambda place: Signed(place).is_refused(BODY, {"x-amz-meta-owner": "another"}),
    "an unsigned x-amz-copy-source": copied_by_a_put,
    "a second PUT (412)": lambda place: twice(Signed(place)),
    "bytes with another Content-MD5": lambda place: Signed(place, {"content-md5": md5(BODY)}).is_refused(OTHER),
    "bytes with another x-amz-checksum-sha256": lambda place: Signed(
        place, {"x-amz-checksum-sha256": sha256(BODY)}
    ).is_refused(OTHER),
}
"""Presigned requests that the store must refuse. Where the request is a changed one, the unchanged one is accepted."""

CALLS: dict[str, StoreProbe] = {
    "returns the SHA-256 of an object": has_checksum,
    "checks the ETag of a copy's source": copy_is_conditional,
    "does not replace the target of a copy": copy_is_create_only,
    "checks the ETag of the source of UploadPartCopy": range_is_conditional,
    "checks the signed length of a part": part_has_its_length,
    "lists parts": lists_parts,
    "lists multipart uploads": lists_multiparts,
    "refuses a part of an aborted upload (404)": aborted_is_gone,
    "does not replace an object by a completion": completion_is_create_only,
    "refuses parts under 5 MiB, except the last": lambda place, store: refuses_parts(place, store, [1000, 7]),
    "refuses parts of unequal sizes": lambda place, store: refuses_parts(place, store, [PART_MIN, PART_MIN + 1, 7]),
}
"""Calls of the broker's own store adapter."""


BUCKET: dict[str, Probe] = {
    "returns `response-content-disposition` of a link": overrides,
    "keeps CORS rules": keeps_cors,
    "allows the origin of a CORS rule": allows_origin,
    "refuses other origins": refuses_origin,
    "keeps lifecycle rules": keeps_lifecycle,
}
"""Download links, and rules of buckets."""


async def verified(place: Place) -> dict[str, bool]:
    """Return the result of each check."""
    found: dict[str, bool] = {}
    store = place.object_store()
    for row, probe in PRESIGNED.items():
        found[f"refuses {row}"] = probe(place)
    for row, call in CALLS.items():
        try:
            found[row] = await call(place, store)
        except StorageUnavailableError:
            found[row] = False
    for row, probe in BUCKET.items():
        try:
            found[row] = probe(place)
        except ClientError:
            found[row] = False
    await store.close()
    return found
