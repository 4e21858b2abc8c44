"""Checksums from the store: whether it returns or refuses them, the object itself is found."""

import asyncio
import base64
import hashlib

import pytest

from broker.core.model import ObjectHead
from broker.errors import StorageUnavailableError
from broker.store import s3

from .calls import OBJECT, REF, VERBS, facing
from .wire import Act, answer, error, fit

DIGEST = hashlib.sha256(b"the file").digest()
FIRST = VERBS["first_bytes"]
DESCRIBED = {**OBJECT, "Content-Length": "11"}


def by_method(get: bytes, head: bytes) -> Act:
    """One answer to a GET and another one to a HEAD."""

    async def act(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(fit(request, head if request.startswith("HEAD ") else get))

    return act


async def asked(head: bytes, get: bytes = FIRST.good) -> tuple[ObjectHead | None, list[str]]:
    """Return the result with a checksum, and the requests that were sent."""
    async with facing(by_method(get, head)) as (store, server):
        return await store.first_bytes(REF, 4, checksum=True), server.requests


async def test_a_signed_header_requests_the_checksum() -> None:
    """A HeadObject with a signed x-amz-checksum-mode is sent together with the ranged GetObject, which has none."""
    encoded = base64.b64encode(DIGEST).decode()
    found, requests = await asked(answer(200, {**DESCRIBED, "x-amz-checksum-sha256": encoded}))
    assert found
    assert (found.stored.sha256, found.first_bytes) == (DIGEST, b"ID3\x04")
    with_mode = [request for request in requests if "x-amz-checksum-mode: ENABLED" in request]
    assert [request.split(" ")[0] for request in with_mode] == ["HEAD"]
    assert "x-amz-checksum-mode" in with_mode[0].split("X-Amz-SignedHeaders=")[1].split("&")[0]


@pytest.mark.parametrize("value", ["", "x", "AAAA", base64.b64encode(DIGEST).decode() + "-3", "é" * 44])
async def test_only_a_whole_checksum_counts(value: str) -> None:
    """A value that is not the SHA-256 of the whole object, such as one of its parts' checksums, is ignored."""
    found, _ = await asked(answer(200, {**DESCRIBED, "x-amz-checksum-sha256": value}))
    assert found
    assert found.stored.sha256 is None


@pytest.mark.parametrize("status", [400, 403, 405, 501])
async def test_seq03_a_refusal_of_checksums_is_remembered(status: int) -> None:
    """A refusal costs one extra request, and none for an hour."""
    async with facing(by_method(FIRST.good, error(status, "NotImplemented"))) as (store, server):
        for _ in range(3):
            assert await store.first_bytes(REF, 4, checksum=True) == FIRST.result
        assert len([request for request in server.requests if request.startswith("HEAD ")]) == 1
        store._checksums_from -= s3.CHECKSUMS_REFUSED_FOR
        await store.first_bytes(REF, 4, checksum=True)
        assert len([request for request in server.requests if request.startswith("HEAD ")]) == 2


async def test_a_general_refusal_is_not_remembered() -> None:
    """If the store refuses every request, checksums are requested again at once."""
    refusal = error(403, "AccessDenied")
    async with facing(by_method(refusal, refusal)) as (store, _):
        with pytest.raises(StorageUnavailableError):
            await store.first_bytes(REF, 4, checksum=True)
        assert store._checksums_from == float("-inf")


async def test_two_versions_are_an_error() -> None:
    """If GetObject and HeadObject describe two versions, the store is unavailable."""
    with pytest.raises(StorageUnavailableError):
        await asked(answer(200, {**DESCRIBED, "ETag": '"another"'}))


async def test_a_missing_head_has_no_checksum() -> None:
    """If HeadObject returns 404, the object of GetObject is returned without a checksum."""
    found, _ = await asked(answer(404))
    assert found == FIRST.result


@pytest.mark.parametrize("status", [500, 520])
async def test_an_outage_is_not_a_refusal(status: int) -> None:
    """A failing store raises an error, so that no receipt loses its checksum by an outage."""
    with pytest.raises(StorageUnavailableError):
        await asked(error(status, "InternalError"))


@pytest.mark.parametrize("status", [200, 206])
async def test_e09_an_encoded_object_is_found(status: int) -> None:
    """An object with a Content-Encoding is found even if its length is missing or does not fit."""
    fields = {"Content-Type": "audio/mpeg", "Content-Encoding": "gzip", "ETag": 'W/"abc"'}
    found, _ = await asked(answer(200, DESCRIBED), answer(status, fields, b"decoded bytes"))
    assert found
    assert (found.stored.content_encoding, found.stored.content_type) == ("gzip", "audio/mpeg")


@pytest.mark.parametrize("value", ["identity", "aws-chunked", " Identity "])
async def test_harmless_encodings_are_ignored(value: str) -> None:
    """A Content-Encoding that changes no byte is not reported."""
    get = FIRST.good.replace(b"HTTP/1.1 206 Said\r\n", f"HTTP/1.1 206 Said\r\nContent-Encoding: {value}\r\n".encode())
    found, _ = await asked(answer(404), get)
    assert found == FIRST.result
