"""better-upload's client: its route, and the shapes of its requests and responses."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.core.limits import MIB, PUT_MAX
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, client, token
from .uppy import signed_headers

FILE = {"name": "song.mp3", "size": 9 * MIB, "type": "audio/mpeg"}
REQUEST = {"route": "tracks", "metadata": {"album": 5}, "files": [FILE]}
ROUTED = {**ENVIRONMENT, "UPLOAD_ROUTES": "covers, tracks"}


@pytest.fixture
def store() -> MemoryObjectStore:
    """Return an empty store."""
    return MemoryObjectStore()


@pytest.fixture
def user(store: MemoryObjectStore) -> TestClient:
    """Return a client of a deployment with two routes."""
    return client(store, environment=ROUTED)


def upload(user: TestClient, **changes: Any) -> dict[str, Any]:
    """Create uploads; return the response."""
    response = user.post("/api/upload", json={**REQUEST, **changes})
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_file_ends_confirmed(user: TestClient, store: MemoryObjectStore) -> None:
    """A file is sent in signed parts, and the completion without a token confirms it."""
    answer = upload(user)
    (file,) = answer["multipart"]["files"]
    part_size = answer["multipart"]["partSize"]
    assert part_size == 8 * MIB
    assert [(part["partNumber"], part["size"]) for part in file["parts"]] == [(1, part_size), (2, MIB)]
    assert {signed_headers(part["signedUrl"]) for part in file["parts"]} == {"content-length;host"}
    key = file["file"]["objectInfo"]["key"]
    assert file["file"] == {**FILE, "objectInfo": {"key": key, "metadata": {}, "cacheControl": None}}
    assert answer["metadata"] == {"uploads": [{"key": key, "uploadId": file["uploadId"]}]}
    (s3_upload_id,) = store.multiparts
    page = client(store, bearer="none")
    assert page.post(file["completeSignedUrl"], content="<x/>").status_code == 409
    store.put_part(s3_upload_id, 1, mp3(60), size=part_size)
    store.put_part(s3_upload_id, 2, b"x", size=MIB)
    assert page.post(file["completeSignedUrl"], content="<x/>").status_code == 200
    assert user.get(f"/api/v1/objects/{key}").status_code == 200
    assert page.delete(file["abortSignedUrl"]).status_code == 204
    assert user.get(f"/api/v1/objects/{key}").status_code == 200


def test_abort_removes_the_parts(user: TestClient, store: MemoryObjectStore) -> None:
    """The abort without a token deletes an upload that is not complete."""
    (file,) = upload(user)["multipart"]["files"]
    assert client(store, bearer="none").delete(file["abortSignedUrl"]).status_code == 204
    assert not store.multiparts


def test_many_parts_become_larger(store: MemoryObjectStore) -> None:
    """Parts become larger so that all files together have about a thousand."""
    user = client(store, environment={**ROUTED, "UPLOAD_MAX_BYTES": "1TiB"})
    answer = upload(user, files=[{**FILE, "size": 30 * 2**30}, {**FILE, "name": "b.mp3", "size": 5}])
    parts = [len(file["parts"]) for file in answer["multipart"]["files"]]
    assert answer["multipart"]["partSize"] == 31 * MIB
    assert parts == [991, 1]


def test_parts_have_a_maximum_size(store: MemoryObjectStore) -> None:
    """Files that have terabytes together get parts of at most the size of a PUT."""
    user = client(store, environment={**ROUTED, "UPLOAD_MAX_BYTES": "4TiB"})
    files = [{**FILE, "size": 3 * 2**40}, {**FILE, "name": "b.mp3", "size": 3 * 2**40}]
    assert upload(user, files=files)["multipart"]["partSize"] == PUT_MAX


@pytest.mark.parametrize(
    ("changes", "status", "kind", "pointer"),
    [
        ({"route": "images"}, 422, "invalid_request", "/route"),
        ({"route": 5}, 422, "invalid_request", "/route"),
        ({"files": []}, 422, "invalid_request", "/files"),
        ({"files": [FILE] * 101}, 422, "invalid_request", "/files"),
        ({"files": [{**FILE, "size": 0}]}, 422, "invalid_request", "/files/0/size"),
        ({"files": [{**FILE, "size": "5"}]}, 422, "invalid_request", "/files/0/size"),
        ({"files": [{**FILE, "size": True}]}, 422, "invalid_request", "/files/0/size"),
        ({"files": [{**FILE, "key": "x"}]}, 422, "invalid_request", "/files/0/key"),
        ({"files": [{**FILE, "name": "a\x00"}]}, 422, "invalid_request", "/files/0/name"),
        ({"files": [FILE, {**FILE, "type": "text/html"}]}, 422, "invalid_file_type", "/files/1/type"),
        ({"files": [FILE, {**FILE, "size": 6 * 2**30}]}, 413, "file_too_large", "/files/1/size"),
        ({"files": [{**FILE, "size": 10**40}]}, 413, "file_too_large", "/files/0/size"),
    ],
)
def test_invalid_request_has_an_error_object(
    user: TestClient, store: MemoryObjectStore, changes: dict[str, Any], status: int, kind: str, pointer: str
) -> None:
    """A refusal has the error that the client reads, beside the members of every problem, and creates nothing."""
    response = user.post("/api/upload", json={**REQUEST, **changes})
    problem = response.json()
    assert (response.status_code, problem["error"]) == (status, {"type": kind, "message": problem["detail"]})
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert not store.calls


def test_token_is_required(store: MemoryObjectStore) -> None:
    """Without a token the client gets an error that it can show."""
    response = client(store, bearer="none", environment=ROUTED).post("/api/upload", json=REQUEST)
    assert (response.status_code, response.json()["error"]["type"]) == (401, "invalid_request")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_failing_store_is_an_unknown_error(user: TestClient, store: MemoryObjectStore) -> None:
    """A failure of the store is an error without a type of the client's."""
    store.failing = {"create_multipart"}
    response = user.post("/api/upload", json=REQUEST)
    assert (response.status_code, response.json()["error"]["type"]) == (503, "unknown")


def test_without_routes_all_are_refused(store: MemoryObjectStore) -> None:
    """Without the setting no route exists."""
    assert client(store).post("/api/upload", json=REQUEST).status_code == 422


def test_capability_of_another_upload_is_refused(user: TestClient, store: MemoryObjectStore) -> None:
    """The URLs of one upload do not end another, nor another user's."""
    first, second = upload(user, files=[FILE, {**FILE, "name": "b.mp3"}])["multipart"]["files"]
    mixed = first["abortSignedUrl"].replace(first["uploadId"], second["uploadId"])
    page = client(store, bearer="none")
    assert page.delete(mixed).status_code == 404
    other = client(store, bearer=token("user-2"), environment=ROUTED)
    assert other.get(f"/api/v1/uploads/{first['uploadId']}").status_code == 404
    assert len(store.multiparts) == 2
