"""Objects that JamSync stored: their keys end as the file names of its clients did."""

import time
from collections.abc import Mapping
from urllib.parse import quote, unquote
from uuid import uuid4

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from broker import settings
from broker.core.model import ObjectRef
from broker.service import deletion
from broker.service.assembly import assemble
from broker.web.app import create_app
from tests.small_files import mp3
from tests.stores.place import BUCKET, Place, send

from .application import ENVIRONMENT, token

MP3 = mp3(100)
PUBLIC = "https://cdn.example/files"
SERVICE = {"Authorization": f"Bearer {token('backend', scope='broker:service')}"}
USER = {"Authorization": f"Bearer {token()}"}

ENDINGS = [
    *("MP3", "my song", "Mein schönes Lied", "e\u0301", "曲", "🎵 1", "Ma musique (finale)", " x "),
    *("100%", "a+b&c=d", "#1?", "'\"<>~", "a:b;c", "m-3", ""),
]
"""What followed the last dot of a file name, or the whole name where it had no dot."""


@pytest.fixture(params=["seaweedfs", "moto"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each store, of which one verifies signatures."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Place)
    return found


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the pause of deletions to zero: no copy is in progress."""
    monkeypatch.setattr(deletion, "COPY_GRACE", 0)


def app(place: Place, environment: Mapping[str, str] | None = None) -> TestClient:
    """Return the application over this store, with a public URL."""
    configured = {
        **ENVIRONMENT,
        "R2_ENDPOINT": place.endpoint,
        "R2_ACCESS_KEY_ID": place.credentials.access_key_id,
        "R2_SECRET_ACCESS_KEY": place.credentials.secret_access_key,
        "R2_BUCKET_NAME": BUCKET,
        "R2_PUBLIC_URL": PUBLIC,
        **(environment or {}),
    }
    return TestClient(create_app(assemble(settings.parse(configured))), follow_redirects=False)


def stored(place: Place, ending: str) -> str:
    """Store an object as JamSync did: without an owner in its metadata; return its key."""
    key = f"media/{uuid4()}.{ending}"
    headers = {"content-type": "audio/mpeg"}
    url = place.presigner().presign("PUT", ObjectRef(BUCKET, key), now=int(time.time()), expires_in=60, headers=headers)
    assert send("PUT", url, headers, MP3).status == 200
    return key


def is_gone(url: str) -> bool:
    """Return whether a link has no object any more; moto answers 403."""
    return send("GET", url).status in (403, 404)


def test_an_old_object_is_read_linked_and_deleted(place: Place) -> None:
    """A service reads, links and deletes an old object by its key, and finds the key in its URLs."""
    with app(place) as client:
        for ending in ENDINGS:
            key = stored(place, ending)
            path = quote(key)
            found = client.get(f"/api/v1/objects/{path}", headers=SERVICE)
            link = client.get(f"/api/v1/downloads/{path}", headers=USER)
            assert (found.status_code, link.status_code) == (200, 200), (found.text, link.text)
            assert (found.json()["key"], found.json()["owner"], found.json()["size"]) == (key, None, len(MP3))
            assert found.json()["url"] == f"{PUBLIC}/{path}"
            assert send("GET", link.json()["url"]).body == MP3, key
            for url in (found.json()["url"], link.json()["url"]):
                assert client.get("/api/v1/keys", params={"url": url}, headers=USER).json() == {"key": key}

            assert client.delete(f"/api/v1/objects/{path}", headers=SERVICE).status_code == 204, key
            assert client.get(f"/api/v1/objects/{path}", headers=SERVICE).status_code == 404
            assert is_gone(link.json()["url"]), key


def test_many_old_objects_are_linked_and_deleted(place: Place) -> None:
    """Batches of links and of deletions take old keys."""
    keys = [stored(place, ending) for ending in ENDINGS]
    with app(place) as client:
        links = client.post("/api/v1/downloads", json={"keys": keys}, headers=USER).json()["downloads"]
        assert [send("GET", link["url"]).status for link in links] == [200] * len(keys)
        results = client.post("/api/v1/objects/delete", json={"keys": keys}, headers=SERVICE).json()["results"]
    assert [(result["key"], result["status"]) for result in results] == [(key, "deleted") for key in keys]
    assert all(is_gone(link["url"]) for link in links)


@pytest.mark.parametrize("place", ["seaweedfs"], indirect=True)
def test_an_old_object_belongs_to_the_service(place: Place) -> None:
    """A user can neither read nor delete an old object, and gets a link only where access does not need an owner."""
    key = quote(stored(place, "my song"))
    with app(place) as client:
        assert client.get(f"/api/v1/objects/{key}", headers=USER).status_code == 404
        assert client.delete(f"/api/v1/objects/{key}", headers=USER).status_code == 404
        assert client.get(f"/api/v1/objects/{key}", headers=SERVICE).status_code == 200
        assert client.get(f"/api/v1/downloads/{key}", headers=USER).status_code == 200
    for access, status in (("owner", 404), ("service", 403)):
        with app(place, {"DOWNLOAD_ACCESS": access}) as client:
            assert client.get(f"/api/v1/downloads/{key}", headers=USER).status_code == status
            assert client.get(f"/api/v1/downloads/{key}", headers=SERVICE).status_code == 200


@pytest.mark.parametrize(
    ("raw", "status"), [("100%25", 200), ("%252F", 200), ("100%", 404), ("%zz", 404), ("a;b", 404), ("a%3Bb", 200)]
)
async def test_an_old_key_has_one_spelling(raw: str, status: int) -> None:
    """A path with a broken escape or a bare semicolon names no object, because another path means the same."""
    path = f"/api/v1/downloads/media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.{raw}"
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        statuses.append(message.get("status"))

    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", USER["Authorization"].encode())],
    }
    await create_app(assemble(settings.parse(ENVIRONMENT)))(scope, receive, keep)
    assert statuses[0] == status
