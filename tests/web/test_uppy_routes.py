"""Companion's S3 routes: what @uppy/aws-s3 4 and 5 send, and what they read."""

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.core.limits import MIB, PUT_MAX
from broker.errors import RateLimitedError, StorageUnavailableError
from broker.service import companion, promotion
from broker.service.companion import STORED_ETAG
from broker.service.rate_limit import RateLimit
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, client, token
from .refusals import refused
from .uppy import FILE, PART, SIZE, complete, created, path, place, send, signed_headers


@pytest.fixture
def store() -> MemoryObjectStore:
    """Return an empty store."""
    return MemoryObjectStore()


@pytest.fixture
def user(store: MemoryObjectStore) -> TestClient:
    """Return a client with the token of a user."""
    return client(store)


def test_stock_client_ends_with_a_confirmed_key(user: TestClient, store: MemoryObjectStore) -> None:
    """Create, sign, list and complete end with the track-ready key and its receipt, in Uppy's words."""
    upload = created(user)
    assert upload.keys() == {"key", "uploadId", "bucket"}
    signed = user.get(path(upload, "/1")).json()
    assert "partNumber=1" in signed["url"]
    assert signed_headers(signed["url"]) == "content-length;host"
    assert 890 <= signed["expires"] <= 900
    send(store, 1, 3)
    listed = user.get(path(upload)).json()
    assert [(part["PartNumber"], part["Size"], part["ETag"][0]) for part in listed] == [(1, PART, '"'), (3, MIB, '"')]
    send(store, 2)

    ended = complete(user, upload)

    assert ended.status_code == 200
    body = ended.json()
    assert {name: body[name] for name in ("key", "bucket", "uploadId", "status", "size", "contentType", "url")} == {
        **upload,
        "status": "ready",
        "size": SIZE,
        "contentType": "audio/mpeg",
        "url": None,
    }
    assert body["location"] == f"{ENVIRONMENT['R2_ENDPOINT']}/songs/{upload['key']}"
    assert body["receipt"].count(".") == 2
    assert user.get(f"/api/v1/objects/{body['key']}").status_code == 200
    assert complete(user, upload).json() == body


def test_confirmed_upload_can_be_resumed(user: TestClient, store: MemoryObjectStore) -> None:
    """After the parts were joined the list has all of them: a page that lost the response sends none again."""
    upload = created(user)
    send(store, 1, 2, 3)
    assert complete(user, upload).status_code == 200
    parts = user.get(path(upload)).json()
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, PART), (2, PART), (3, MIB)]
    assert {part["ETag"] for part in parts} == {f'"{STORED_ETAG}"'}


def test_batch_signs_parts_by_number(user: TestClient) -> None:
    """The batch route of Uppy 2 returns the URLs by part number."""
    upload = created(user)
    urls = user.get(path(upload, "/batch", query="&partNumbers=1,3")).json()["presignedUrls"]
    assert ["partNumber=1" in urls["1"], "partNumber=3" in urls["3"], len(urls)] == [True, True, 2]


@pytest.mark.parametrize("kind", ["audio/mpeg", "audio/mp3", "undefined", "", None])
def test_type_may_be_missing(user: TestClient, kind: str | None) -> None:
    """A type that the page does not have is resolved by the file's extension, as an alias is by its name."""
    assert created(user, type=kind)["key"].endswith(".mp3")
    query = {"filename": "a.mp3", "metadata[size]": "60", **({} if kind is None else {"type": kind})}
    put = user.get("/s3/params", params=query).json()
    assert put["headers"]["Content-Type"] == "audio/mpeg"


def test_params_is_a_put_that_signs_everything(user: TestClient, store: MemoryObjectStore) -> None:
    """A whole file gets a PUT that signs size, type and checksum, and is confirmed by its upload id."""
    query = {
        "filename": "a.mp3",
        "type": "audio/mpeg",
        "metadata[size]": "60",
        "metadata[sha256]": "0" * 64,
        "metadata[relativePath]": "undefined",
        "metadata[name]": "a.mp3",
    }
    put = user.get("/s3/params", params=query).json()
    assert (put["method"], put["expires"]) == ("PUT", 900)
    assert signed_headers(put["url"]) == "content-length;content-type;host;if-none-match;x-amz-checksum-sha256"
    assert put["headers"].keys() == {"Content-Type", "If-None-Match", "x-amz-checksum-sha256"}
    assert put["fields"]["bucket"] == "songs"
    store.returns_checksums = False
    store.put(place(put["url"]), mp3(60))
    confirmed = user.post(f"/api/v1/uploads/{put['fields']['uploadId']}/confirm").json()
    assert confirmed["key"] == put["fields"]["key"]


@pytest.mark.parametrize("size", [None, "", "undefined", "null"])
def test_missing_size_names_the_two_lines(user: TestClient, size: str | None) -> None:
    """A file without a size is refused, and the message has the two lines that an application must add."""
    in_parts = user.post("/s3/multipart", json={**FILE, "metadata": {"size": size}})
    query = {"filename": "a.mp3", "type": "audio/mpeg", **({} if size is None else {"metadata[size]": size})}
    for response in (in_parts, user.get("/s3/params", params=query)):
        refused(response, "/metadata/size")
        message = response.json()["message"]
        assert 'uppy.on("file-added", f => uppy.setFileMeta(f.id, {size: f.size}))' in message
        assert 'allowedMetaFields: ["size"]' in message


@pytest.mark.parametrize("size", [True, 1.5, -1, 0, "-1", "1e3", "0x10", "١٢", "1" * 17, [], {}, [7], 6 * 2**30])
def test_invalid_size_is_refused(user: TestClient, size: Any) -> None:
    """A size of another type, or out of range, is refused with the name of the field."""
    refused(user.post("/s3/multipart", json={**FILE, "metadata": {"size": size}}), "/metadata/size")


@pytest.mark.parametrize("part_size", [PART - 1, PUT_MAX + 1, "x", True])
def test_invalid_part_size_is_refused(user: TestClient, part_size: Any) -> None:
    """Parts of a size that the store refuses are refused before the upload."""
    metadata = {"size": SIZE, "partSize": part_size}
    refused(user.post("/s3/multipart", json={**FILE, "metadata": metadata}), "/metadata/partSize")


def test_part_size_of_the_application_is_signed(user: TestClient) -> None:
    """An application that has a ``getChunkSize`` of its own states it, and gets as many parts."""
    upload = created(user, metadata={"size": SIZE, "partSize": str(8 * MIB)})
    assert user.get(path(upload, "/2")).status_code == 200
    assert user.get(path(upload, "/3")).status_code == 422


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": []},
        {"metadata": "size=1"},
        {"metadata": 5},
        {"filename": 5},
        {"filename": ""},
        {"type": 5},
        {"type": "text/html"},
        {"key": "media/x.mp3"},
        {"metadata": {"size": 10, "sha256": 5}},
        {"metadata": {"size": 10, "md5": "no checksum"}},
        {"metadata": {"size": 10, "sha256": "0" * 64}},
    ],
)
def test_invalid_file_is_refused(user: TestClient, changes: dict[str, Any]) -> None:
    """A create with a field of another type, an unknown field, or a checksum for parts is refused."""
    refused(user.post("/s3/multipart", json={**FILE, **changes}))


@pytest.mark.parametrize(
    "query",
    [
        "type=audio/mpeg&metadata[size]=5",
        "filename=a.mp3&filename=b.mp3&metadata[size]=5",
        "filename=a.mp3&metadata[size]=5&metadata[size]=6",
        "filename=a.mp3&metadata[size]=5&key=media/x.mp3",
        "filename=a.mp3&metadata[size]=5&metadata[x]=%ff",
        "filename=%ff.mp3&metadata[size]=5",
        "filename=a.mp3&metadata[size]=5&type=text/html",
        "filename=a.mp3&metadata[size]=5&metadata[md5]=zz",
    ],
)
def test_invalid_query_is_refused(user: TestClient, query: str) -> None:
    """A query with an unknown, a repeated or an undecodable parameter is refused."""
    refused(user.get(f"/s3/params?{query}"))


@pytest.mark.parametrize("number", ["0", "-1", "10001", "4", "1.0", "x", "01x", "%2B1", "1" * 17])
def test_invalid_part_number_is_refused(user: TestClient, number: str) -> None:
    """A part number that is not one of the upload's is refused, alone and in a batch."""
    upload = created(user)
    refused(user.get(path(upload, f"/{number}")))
    refused(user.get(path(upload, "/batch", query=f"&partNumbers=1,{number}")))


def test_batch_is_bounded(user: TestClient) -> None:
    """A batch has at least one part number, and at most a thousand."""
    upload = created(user)
    refused(user.get(path(upload, "/batch")), "/partNumbers")
    refused(user.get(path(upload, "/batch", query="&partNumbers=" + "1," * 1000 + "1")), "/partNumbers")


@pytest.mark.parametrize(
    "parts",
    [
        None,
        "x",
        {},
        [1],
        [{"PartNumber": "1", "ETag": "x"}],
        [{"PartNumber": 0, "ETag": "x"}],
        [{"PartNumber": 10_001, "ETag": "x"}],
        [{"PartNumber": True, "ETag": "x"}],
        [{"PartNumber": 1, "ETag": 5}],
        [{"PartNumber": 1, "ETag": "x" * 129}],
        [{"PartNumber": 1}],
        [{"PartNumber": 1, "ETag": "x"}] * 10_001,
    ],
)
def test_invalid_parts_are_refused(user: TestClient, store: MemoryObjectStore, parts: Any) -> None:
    """Parts of a wrong type are refused, and the upload stays as it is."""
    upload = created(user)
    send(store, 1, 2, 3)
    refused(user.post(path(upload, "/complete"), json={"parts": parts}))
    assert complete(user, upload).status_code == 200


def test_completion_waits_for_the_store(
    user: TestClient, store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion during which the store fails succeeds, without an error in between."""
    monkeypatch.setattr(companion, "PAUSE", 0)
    upload = created(user)
    send(store, 1, 2, 3)
    failures = iter(["head"] * 3 + ["copy"] * 2)

    def count(verb: str, *_buckets: str) -> None:
        store.failing = {next(failures, "")}
        if verb in store.failing:
            raise StorageUnavailableError("it fails for a while")

    monkeypatch.setattr(store, "_count", count)
    assert complete(user, upload).json()["status"] == "ready"
    assert next(failures, "") == ""


def test_completion_without_a_store_is_pending(
    user: TestClient, store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion for which the store never responds is not an error: the upload can be confirmed later."""
    monkeypatch.setattr("broker.web.uppy_access.PATIENCE", 0.05)
    monkeypatch.setattr(companion, "PAUSE", 0.01)
    upload = created(user)
    send(store, 1, 2, 3)
    store.failing = {"head", "first_bytes", "list_parts"}
    pending = complete(user, upload)
    assert (pending.status_code, pending.json()["status"]) == (200, "pending")
    assert "receipt" not in pending.json()
    assert user.delete(path(upload)).status_code == 503
    store.failing = set()
    assert user.delete(path(upload)).json() == {}
    confirmed = user.post(f"/api/v1/uploads/{upload['uploadId']}/confirm")
    assert confirmed.json()["key"] == upload["key"]


def test_completion_of_a_large_file_is_promoting(store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion that ends during a copy in ranges returns the key and no receipt."""
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    monkeypatch.setattr(promotion, "NEXT_SECOND", 0)
    monkeypatch.setattr("broker.web.uppy_access.PATIENCE", 0.001)
    size = PUT_MAX + 1
    user = client(store, environment={**ENVIRONMENT, "UPLOAD_MAX_BYTES": "6GiB"})
    upload = created(user, metadata={"size": size})
    send(store, *range(1, -(-size // PART) + 1), size=size)
    confirmed = user.post(f"/api/v1/uploads/{upload['uploadId']}/confirm")
    assert confirmed.status_code == 202
    with monkeypatch.context() as patch:
        patch.setattr("broker.service.uploads.Uploads.confirm", _always_promoting)
        ended = complete(user, upload)
    assert (ended.status_code, ended.json()["status"], ended.json()["key"]) == (200, "promoting", upload["key"])


async def _always_promoting(*_arguments: object) -> promotion.Promoting:
    await asyncio.sleep(0)
    return promotion.Promoting(1, 2)


def test_service_may_use_the_routes(store: MemoryObjectStore) -> None:
    """A service creates uploads by these routes as users do, and has no share of the store's slots of its own."""
    backend = client(store, bearer=token("backend", scope="broker:service"))
    upload = created(backend)
    assert backend.get(path(upload, "/1")).status_code == 200


def test_waiting_completions_have_a_limit(user: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """When many completions wait already, a further one is refused at once."""
    upload = created(user)
    monkeypatch.setattr(asyncio.Semaphore, "locked", lambda _: True)
    monkeypatch.setattr(RateLimit, "spend", lambda *_: _raise(RateLimitedError(retry_after=1)))
    assert complete(user, upload).status_code == 429


LONG = b'{"parts": [%b]}' % b",".join(b'{"PartNumber": %d, "ETag": "%064d"}' % (number, 0) for number in range(1, 1001))


def test_long_completion(user: TestClient, store: MemoryObjectStore) -> None:
    """A completion with many parts is decoded by their schema; the broker reads the parts from the store."""
    upload = created(user)
    send(store, 1, 2, 3)
    target, headers = path(upload, "/complete"), {"Content-Type": "application/json"}
    assert user.post(target, content=LONG, headers=headers).json()["status"] == "ready"


@pytest.mark.parametrize(
    "body", [b"[" * 70_000, LONG[:-1], LONG[:-2] + b",[]]}", b'{"parts": ["\xff%b"]}' % (b"x" * 70_000)]
)
def test_long_hostile_completion_is_refused(user: TestClient, body: bytes) -> None:
    """A long completion that is not a list of parts is refused by its field."""
    response = user.post(path(created(user), "/complete"), content=body, headers={"Content-Type": "application/json"})
    refused(response, "/parts")


def test_completion_waits_for_the_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion over the rate limit waits, where other requests are refused."""
    store = MemoryObjectStore()
    user = client(store, environment=ENVIRONMENT)
    upload = created(user)
    send(store, 1, 2, 3)
    refusals = [RateLimitedError(retry_after=1), None]
    monkeypatch.setattr(RateLimit, "spend", lambda *_: _raise(refusals.pop(0)))
    monkeypatch.setattr("broker.web.uppy_access.PAUSE", 0)
    assert complete(user, upload).json()["status"] == "ready"
    refusals.append(RateLimitedError(retry_after=1))
    monkeypatch.setattr("broker.web.uppy_access.PATIENCE", 0)
    assert complete(user, upload).status_code == 429


async def _raise(error: Exception | None) -> None:
    if error:
        raise error
