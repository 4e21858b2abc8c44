"""The rows about signing and confirming (P), through the routes of Uppy and of better-upload's client."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from tests.service.deployment import USER, Deployment
from tests.stores.memory import MemoryObjectStore
from tests.web.application import ENVIRONMENT, KEY, client, token
from tests.web.refusals import refused
from tests.web.uppy import FILE, SIZE, complete, created, path, send

ROUTED = {**ENVIRONMENT, "UPLOAD_ROUTES": "tracks"}
BETTER = {"route": "tracks", "files": [{"name": "a.mp3", "size": 60, "type": "audio/mpeg"}]}
PUT = "/s3/params?filename=a.mp3&type=audio/mpeg&metadata[size]=60"
ALIKE = ["user-10", "user-", "user", "USER-1", "user-1-x", "user-1/x", "user-1 ", "\uff55ser-1"]


@pytest.fixture
def store() -> MemoryObjectStore:
    """Return an empty store."""
    return MemoryObjectStore()


@pytest.fixture
def user(store: MemoryObjectStore) -> TestClient:
    """Return a client with the token of a user."""
    return client(store, environment=ROUTED)


def about(user: TestClient, upload: dict[str, str]) -> Iterator[httpx2.Response]:
    """Send each request about an upload, by each face."""
    yield user.get(path(upload))
    yield user.get(path(upload, "/1"))
    yield user.get(path(upload, "/batch", query="&partNumbers=1"))
    yield complete(user, upload)
    yield user.delete(path(upload))
    for method in ("GET", "POST", "DELETE"):
        named = {"key": upload["key"], "uploadId": upload["uploadId"]}
        yield user.post("/s3/presign", json={"method": method, **named})


def urls(user: TestClient) -> list[str]:
    """Return a URL of the store of each kind that the faces sign."""
    upload = created(user)
    put = {"method": "PUT", "key": "a.mp3", "size": 60}
    (better,) = user.post("/api/upload", json=BETTER).json()["multipart"]["files"]
    return [
        user.get(PUT).json()["url"],
        user.post("/s3/presign", json=put).json()["url"],
        user.get(path(upload, "/1")).json()["url"],
        better["parts"][0]["signedUrl"],
    ]


def only(responses: Iterator[httpx2.Response]) -> str:
    """Return the one body that all responses have but for their request id; all must be 404."""
    found = list(responses)
    assert {response.status_code for response in found} == {404}
    (body,) = {response.text.replace(response.headers["x-request-id"], "") for response in found}
    return body


@pytest.mark.parametrize("subject", ALIKE)
def test_p01_p03_similar_subject_is_another_user(user: TestClient, store: MemoryObjectStore, subject: str) -> None:
    """A subject that is similar to the owner's gets the response for an unknown upload, and reaches no store."""
    upload = created(user)
    store.calls.clear()
    other = client(store, bearer=token(subject))
    assert only(about(other, upload)) == only(about(user, {**upload, "uploadId": "A" * 200}))
    assert not store.calls


@pytest.mark.parametrize(
    "key", ["../x", "media/../x", "//x", "%2e%2e/", "a?b", "a#b", "a b", "é", "..%5c", ";x", "a/", "x" * 1025, KEY]
)
def test_p02_p22_key_of_the_client_is_not_used(user: TestClient, key: str) -> None:
    """A key that the broker did not make for the upload is an unknown upload, whatever its form and length."""
    upload = created(user)
    params = {"key": key}
    refused(user.get(f"/s3/multipart/{upload['uploadId']}", params=params))
    refused(user.get(f"/s3/multipart/{upload['uploadId']}/1", params=params))
    signed = user.post("/s3/presign", json={"method": "PUT", "key": key, "size": 60, "contentType": "audio/mpeg"})
    assert not signed.is_success or urlsplit(signed.json()["url"]).path.startswith("/songs/incoming/")


def test_p05_p06_p07_urls_stay_below_the_prefix(user: TestClient) -> None:
    """Every URL of the store is that of one object below the staging prefix, of the one bucket."""
    for url in urls(user):
        place = urlsplit(url)
        assert f"{place.scheme}://{place.netloc}" == ENVIRONMENT["R2_ENDPOINT"]
        assert place.path.startswith("/songs/incoming/")
        assert len(place.path.rpartition("/")[2]) == 40


def test_p05_bucket_cannot_be_chosen(user: TestClient) -> None:
    """No face has a field for the bucket, an ACL or an owner."""
    for name in ("bucket", "acl", "owner", "storageClass"):
        refused(user.post("/s3/multipart", json={**FILE, name: "x"}))
        refused(user.post("/s3/presign", json={"method": "POST", "key": "a.mp3", "size": 60, name: "x"}))
        refused(user.get(f"{PUT}&{name}=x"))


def test_p09_p10_lifetimes_are_the_broker_s(user: TestClient) -> None:
    """A client cannot choose the lifetime of a URL."""
    for lifetime in (1, 604_800, 10**12):
        put = {"method": "PUT", "key": "a.mp3", "size": 60, "expiresIn": lifetime}
        url = user.post("/s3/presign", json=put).json()["url"]
        assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["900"]
    refused(user.post("/s3/presign", json={"method": "PUT", "key": "a.mp3", "size": 60, "expiresIn": "60"}))


def test_p11_p13_size_and_type_are_signed(user: TestClient) -> None:
    """Every URL of the store signs the size; that of a whole file also the type, and to write once."""
    *puts, part, better = (parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"] for url in urls(user))
    assert puts == [["content-length;content-type;host;if-none-match"]] * 2
    assert part == better == ["content-length;host"]


def test_p14_p22_metadata_is_not_stored(user: TestClient, store: MemoryObjectStore) -> None:
    """The metadata of a client does not become that of an object."""
    created(user, metadata={"size": SIZE, "acl": "public-read", "x-amz-meta-owner": "user-2"})
    (upload,) = store.multiparts.values()
    assert upload.headers == {"content-type": "audio/mpeg"}


@pytest.mark.parametrize("name", ["versionId", "X-Amz-Security-Token", "x-id", "response-content-type", "uploads"])
def test_p17_p18_parameters_are_not_passed_through(user: TestClient, name: str) -> None:
    """No parameter of the store passes from a request into a URL."""
    upload = created(user)
    refused(user.get(path(upload, query=f"&{name}=x")))
    refused(user.get(path(upload, "/1", query=f"&{name}=x")))
    refused(user.post(f"/s3/multipart?{name}=x", json=FILE))
    refused(user.post(f"/api/upload?{name}=x", json=BETTER))


def test_p19_every_face_counts(store: MemoryObjectStore) -> None:
    """A user over the rate limit gets Retry-After and no URL by any face."""
    user = client(store, environment={**ROUTED, "BROKER_RATE_LIMIT": "60"})
    session = urlsplit(user.post("/api/v1/sessions").json()["endpoint"]).path
    upload = created(user)
    while user.get(path(upload, "/1")).is_success:
        pass
    for response in (
        user.get(path(upload, "/1")),
        user.get(session + PUT),
        user.post("/s3/multipart", json=FILE),
        user.post("/api/upload", json=BETTER),
    ):
        assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
        assert "https://" not in response.text
        assert int(response.headers["retry-after"]) >= 1


async def test_p20_concurrent_completions_copy_once() -> None:
    """A hundred concurrent completions copy the object once and return one key."""
    deployment = Deployment()
    uppy = deployment.services.companion
    upload = await deployment.create()
    deployment.put(upload)
    key, until = uppy.key_of(upload.upload), asyncio.get_running_loop().time() + 60
    outcomes: list[Any] = await asyncio.gather(
        *(uppy.complete(USER, upload.upload_id, key, until=until) for _ in range(100))
    )
    assert {outcome.track.key for outcome in outcomes} == {key}
    assert deployment.store.calls["copy"] == 1


def test_p21_refused_completion_changes_nothing(user: TestClient, store: MemoryObjectStore) -> None:
    """A completion that is too early is refused, and a later one succeeds; repeated ones are equal."""
    upload = created(user)
    refused(complete(user, upload))
    send(store, 1, 2, 3)
    assert complete(user, upload).json() == complete(user, upload).json()


def test_p25_parts_after_the_end(user: TestClient, store: MemoryObjectStore) -> None:
    """Part numbers beyond the plan are refused, and an abort after the completion destroys nothing."""
    upload = created(user)
    for number in ("0", "4", "10001"):
        refused(user.get(path(upload, f"/{number}")))
    send(store, 1, 2, 3)
    assert complete(user, upload).is_success
    assert user.delete(path(upload)).json() == {}
    assert user.get(f"/api/v1/objects/{upload['key']}").is_success


def test_p26_session_grants_uploads_only(user: TestClient, store: MemoryObjectStore) -> None:
    """A session opens no other route, and does not count as a bearer token."""
    session = urlsplit(user.post("/api/v1/sessions").json()["endpoint"]).path
    page = client(store, bearer=session.removeprefix("/c/"))
    for route in (f"/api/v1/downloads/{KEY}", f"/api/v1/objects/{KEY}", "/api/v1/keys?url=x"):
        assert page.get(session + route).status_code == 404
        assert page.get(route).status_code == 401
    assert page.post(f"{session}/api/v1/sessions").status_code == 404
