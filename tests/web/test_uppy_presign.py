"""Uppy 6: sessions in the path, and the requests that its option ``signRequest`` needs."""

import asyncio
import json
import logging
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import httpx2
import pytest
from starlette.testclient import TestClient

from broker.core.limits import MIB
from broker.service.companion import Companion
from broker.service.promotion import Promoting
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, client, token
from .refusals import refused
from .uppy import SIZE, complete, created, path, place, send, signed_headers

UUID = "0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55"
KEY = f"{UUID}-song.mp3"


@pytest.fixture
def store() -> MemoryObjectStore:
    """Return an empty store."""
    return MemoryObjectStore()


@pytest.fixture
def user(store: MemoryObjectStore) -> TestClient:
    """Return a client with the token of a user."""
    return client(store)


def nobody(store: MemoryObjectStore) -> TestClient:
    """Return a client without a token."""
    return client(store, bearer="none")


def sign(user: TestClient, **request: Any) -> dict[str, Any]:
    """Return the signed request."""
    response = user.post("/s3/presign", json=request)
    assert response.status_code == 200, response.text
    return dict(response.json())


def in_parts(user: TestClient) -> dict[str, Any]:
    """Create an upload in parts."""
    return sign(user, method="POST", key=KEY, size=SIZE)


def texts(response: httpx2.Response, name: str) -> dict[str, str | None]:
    """Return the members of an XML document with this name."""
    assert response.headers["content-type"] == "application/xml"
    root = ET.fromstring(response.text)
    assert root.tag == name
    return {child.tag: child.text for child in root}


def test_upload_in_parts_is_confirmed(user: TestClient, store: MemoryObjectStore) -> None:
    """Create, part, list and complete by the returned URLs, without a token, end with the track-ready key."""
    page = nobody(store)
    new = in_parts(user)
    assert new["url"].startswith("http://testserver/c/")
    made = texts(page.post(new["url"], headers={"Content-Type": "audio/mpeg"}), "InitiateMultipartUploadResult")
    assert made == {"Bucket": "songs", "Key": new["key"], "UploadId": new["uploadId"]}
    assert texts(page.post(new["url"]), "InitiateMultipartUploadResult") == made
    assert len(store.multiparts) == 1
    known = {"key": made["Key"], "uploadId": made["UploadId"]}
    part = sign(user, method="PUT", partNumber=2, **known)
    assert signed_headers(part["url"]) == "content-length;host"
    send(store, 1, 2)
    listed = page.get(sign(user, method="GET", **known)["url"])
    assert texts(listed, "ListPartsResult")["IsTruncated"] == "false"
    assert listed.text.count("<PartNumber>") == 2
    send(store, 3)
    url = sign(user, method="POST", **known)["url"]
    body = "<CompleteMultipartUpload></CompleteMultipartUpload>"
    ended = texts(
        page.post(url, content=body, headers={"Content-Type": "application/xml"}), "CompleteMultipartUploadResult"
    )
    assert ended["Key"] == new["key"]
    assert ended["Location"] == f"{ENVIRONMENT['R2_ENDPOINT']}/songs/{new['key']}"
    assert user.get(f"/api/v1/objects/{ended['Key']}").json()["filename"] == "song.mp3"
    assert page.delete(sign(user, method="DELETE", **known)["url"]).status_code == 204
    assert texts(page.post(url), "CompleteMultipartUploadResult") == ended
    without_length = page.build_request("POST", url)
    del without_length.headers["Content-Length"]
    assert texts(page.send(without_length), "CompleteMultipartUploadResult") == ended


def test_unchecked_completion_is_unavailable(
    user: TestClient, store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion for which the store never responded is an error, because S3's XML has no other word for it."""
    monkeypatch.setattr("broker.web.uppy_access.PATIENCE", 0.02)
    new = in_parts(user)
    url = sign(user, method="POST", key=new["key"], uploadId=new["uploadId"])["url"]
    store.failing = {"head"}
    response = nobody(store).post(url)
    assert (response.status_code, texts(response, "Error")["Code"]) == (503, "storage_unavailable")


def test_promoting_completion_has_no_etag(
    user: TestClient, store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion during a copy in ranges still has the location and key that Uppy requires."""

    async def promoting(*_arguments: object, **_options: object) -> Promoting:
        await asyncio.sleep(0)
        return Promoting(1, 2)

    monkeypatch.setattr(Companion, "complete", promoting)
    new = in_parts(user)
    url = sign(user, method="POST", key=new["key"], uploadId=new["uploadId"])["url"]
    assert texts(nobody(store).post(url), "CompleteMultipartUploadResult").keys() == {"Location", "Bucket", "Key"}


def test_error_is_xml(user: TestClient, store: MemoryObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    """An error of these requests is in S3's XML with the code, and the log line has the code too."""
    caplog.set_level(logging.INFO, "broker.access")
    new = in_parts(user)
    url = sign(user, method="POST", key=new["key"], uploadId=new["uploadId"])["url"]
    response = nobody(store).post(url)
    found = texts(response, "Error")
    assert (response.status_code, found["Code"]) == (409, "parts_missing")
    assert found["RequestId"] == response.headers["x-request-id"]
    assert json.loads(caplog.messages[-1])["code"] == "parts_missing"
    store.failing = {"list_parts", "head", "put_empty"}
    unavailable = nobody(store).delete(url.removesuffix("/complete"))
    assert (unavailable.status_code, unavailable.headers["retry-after"]) == (503, "2")


def test_abort_deletes_an_upload(user: TestClient, store: MemoryObjectStore) -> None:
    """An abort deletes an upload whose parts are not all stored."""
    new = in_parts(user)
    send(store, 1)
    url = sign(user, method="DELETE", key=new["key"], uploadId=new["uploadId"])["url"]
    assert nobody(store).delete(url).status_code == 204
    assert not store.multiparts


def test_whole_file_is_signed_with_its_headers(user: TestClient, store: MemoryObjectStore) -> None:
    """A whole file gets a PUT to the store with its header fields, and an upload id to confirm it."""
    signed = sign(user, method="PUT", key=KEY, contentType="audio/mp3", size=60, sha256="0" * 64, expiresIn=60)
    assert signed_headers(signed["url"]) == "content-length;content-type;host;if-none-match;x-amz-checksum-sha256"
    assert signed["headers"]["Content-Type"] == "audio/mpeg"
    store.returns_checksums = False
    store.put(place(signed["url"]), mp3(60))
    assert user.post(f"/api/v1/uploads/{signed['uploadId']}/confirm").json()["key"] == signed["key"]


@pytest.mark.parametrize(
    ("key", "name"),
    [(KEY, "song.mp3"), ("a/b/My song.mp3", "My song.mp3"), (f"60/{KEY}", "song.mp3"), ("60/é.mp3", "é.mp3")],
)
def test_proposed_key_has_the_name(user: TestClient, store: MemoryObjectStore, key: str, name: str) -> None:
    """The name of a file is the last segment of the proposed key, without Uppy's UUID; a first number is the size."""
    signed = sign(user, method="PUT", key=key, **({} if key.startswith("60/") else {"size": 60}))
    store.put(place(signed["url"]), mp3(60))
    assert user.post(f"/api/v1/uploads/{signed['uploadId']}/confirm").json()["filename"] == name


@pytest.mark.parametrize(
    ("request_", "pointers"),
    [
        ({"method": "PUT", "key": KEY}, ["/size"]),
        ({"method": "DELETE", "key": KEY, "size": 5}, ["/method"]),
        ({"method": "GET", "key": KEY, "size": 5}, ["/method"]),
        ({"method": "PUT", "key": KEY, "size": 5, "partNumber": 1}, ["/method"]),
        ({"method": "HEAD", "key": KEY, "size": 5}, ["/method"]),
        ({"method": "PUT", "key": "a/", "size": 5}, []),
        ({"method": "PUT", "key": "", "size": 5}, []),
        ({"method": "PUT", "key": "../..", "size": 5}, ["/key", "/contentType"]),
        ({"method": "PUT", "key": "a\x00.mp3", "size": 5}, ["/key", "/contentType"]),
        ({"method": "PUT", "key": KEY, "size": "5"}, ["/size"]),
        ({"method": "PUT", "key": KEY, "size": 5, "contentType": "text/html"}, ["/contentType"]),
        ({"method": 5, "key": KEY}, ["/method"]),
        ({"method": "PUT", "key": 5}, ["/key"]),
        ({"method": "PUT", "key": KEY, "bucket": "x"}, ["/bucket"]),
        ({"method": "PUT", "key": KEY, "uploadId": 5}, ["/uploadId"]),
    ],
)
def test_invalid_request_is_refused(user: TestClient, request_: dict[str, Any], pointers: list[str]) -> None:
    """A request that is not one of the seven, or has a field of another type, is refused."""
    refused(user.post("/s3/presign", json=request_), *pointers)


@pytest.mark.parametrize(
    "changes", [{"method": "PUT"}, {"method": "HEAD"}, {"method": "POST", "partNumber": 1}, {"method": "put"}]
)
def test_invalid_request_about_an_upload_is_refused(user: TestClient, changes: dict[str, Any]) -> None:
    """A request about an upload that is not one of the four, or a part, is refused."""
    new = in_parts(user)
    refused(user.post("/s3/presign", json={"key": new["key"], "uploadId": new["uploadId"], **changes}))


@pytest.mark.parametrize("number", [0, -1, 4, 10_001, 10**30])
def test_invalid_part_number_is_refused(user: TestClient, number: int) -> None:
    """A part number that is not one of the upload's is refused."""
    new = in_parts(user)
    known = {"key": new["key"], "uploadId": new["uploadId"]}
    refused(user.post("/s3/presign", json={"method": "PUT", "partNumber": number, **known}))


def test_foreign_upload_is_not_found(user: TestClient, store: MemoryObjectStore) -> None:
    """Another user's upload, an unknown one, and a key of another upload get one response, and no URL."""
    new, second = in_parts(user), in_parts(user)
    other = client(store, bearer=token("user-2"))
    bodies = set()
    for method in ("GET", "POST", "DELETE", "PUT"):
        number = {"partNumber": 1} if method == "PUT" else {}
        for app, key, upload_id in (
            (other, new["key"], new["uploadId"]),
            (user, new["key"], "x" * 200),
            (user, second["key"], new["uploadId"]),
            (user, KEY, new["uploadId"]),
        ):
            response = app.post("/s3/presign", json={"method": method, "key": key, "uploadId": upload_id, **number})
            refused(response)
            bodies.add(response.text.replace(response.headers["x-request-id"], ""))
    assert len(bodies) == 1


def test_session_uploads_without_a_token(user: TestClient, store: MemoryObjectStore) -> None:
    """A session in the path stands for the bearer token on Companion's routes, and on no others."""
    session = user.post("/api/v1/sessions")
    assert session.headers["cache-control"] == "no-store"
    below = urlsplit(session.json()["endpoint"]).path + "/s3"
    page = nobody(store)
    upload = created(page, below)
    assert page.get(path(upload, "/1", below=below)).status_code == 200
    send(store, 1, 2, 3)
    assert complete(page, upload, below).json()["status"] == "ready"
    query = {"filename": "a.mp3", "metadata[size]": "60"}
    assert page.get(f"{below}/params", params=query).json()["method"] == "PUT"
    assert page.post(f"{below}/presign", json={"method": "POST", "key": KEY, "size": 5}).status_code == 404
    assert page.get(below.removesuffix("/s3") + f"/api/v1/objects/{upload['key']}").status_code == 404
    other = created(client(store, bearer=token("user-2")))
    assert page.get(path(other, "/1", below=below)).status_code == 404


def test_capability_of_an_upload_is_no_session(user: TestClient, store: MemoryObjectStore) -> None:
    """The capability in a returned URL ends its own upload, and neither creates one nor touches another."""
    new, second = in_parts(user), in_parts(user)
    below = new["url"].partition("/s3/")[0]
    page = nobody(store)
    assert page.post(f"{below}/s3/multipart", json={}).status_code == 404
    assert page.get(f"{below}/s3/xml/{second['uploadId']}").status_code == 404
    assert page.get(f"{below}/s3/xml/{new['uploadId']}").status_code == 200


def test_session_is_never_logged(user: TestClient, store: MemoryObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    """No line of the log has a session: neither of a success, nor of a refusal, nor of an unhandled exception."""
    caplog.set_level(logging.DEBUG)
    session = urlsplit(user.post("/api/v1/sessions").json()["endpoint"]).path
    page, secret = nobody(store), session.removeprefix("/c/")
    upload = created(page, f"{session}/s3")
    page.get(path(upload, "/9", below=f"{session}/s3"))
    page.get(f"{session}/s3/unknown")
    page.put(f"{session}/s3/multipart")
    store.multiparts.clear()
    store.list_parts = None  # type: ignore[assignment,method-assign]  # an unhandled exception follows
    assert page.get(path(upload, below=f"{session}/s3")).status_code == 500
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("broker")]
    assert len(ours) >= 7
    assert secret not in "\n".join(ours)
    routes = [json.loads(line).get("route") for line in ours]
    assert "/c/{token}/s3/multipart/{upload_id}" in routes


@pytest.mark.parametrize("body", [b"[]", b'{"a":1}', b"{"])
def test_session_has_no_fields(user: TestClient, body: bytes) -> None:
    """A session is opened without a body, or with an empty object."""
    assert user.post("/api/v1/sessions", json={}).status_code == 200
    refused(user.post("/api/v1/sessions", content=body, headers={"Content-Type": "application/json"}))


def test_public_url_begins_the_urls(store: MemoryObjectStore) -> None:
    """With the setting, returned URLs begin with the URL of the broker, whatever the Host field is."""
    user = client(store, environment={**ENVIRONMENT, "BROKER_PUBLIC_URL": "https://broker.example/base/"})
    assert in_parts(user)["url"].startswith("https://broker.example/base/c/")
    endpoint = user.post("/api/v1/sessions", headers={"Host": "evil.example"}).json()["endpoint"]
    assert endpoint.startswith("https://broker.example/base/c/")


def test_large_completion_is_refused(user: TestClient, store: MemoryObjectStore) -> None:
    """A body of more than 2 MiB is refused, although it would not be parsed."""
    new = in_parts(user)
    url = sign(user, method="POST", key=new["key"], uploadId=new["uploadId"])["url"]
    response = nobody(store).post(url, content=b"x" * (2 * MIB + 1))
    assert (response.status_code, texts(response, "Error")["Code"]) == (413, "too_large")


def test_without_a_store_nothing_is_signed() -> None:
    """Without a configured store the routes answer 503, by token and by session."""
    app = client(environment={name: value for name, value in ENVIRONMENT.items() if not name.startswith("R2_")})
    for response in (app.post("/s3/multipart", json={}), app.post("/c/x/s3/multipart", json={})):
        assert (response.status_code, response.json()["code"]) == (503, "storage_not_configured")
