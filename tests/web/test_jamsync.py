"""JamSync's endpoints: the members that its clients read, its titles of refusals, and the limits of the server."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from starlette.types import Message

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import ObjectRef
from broker.server import request_cycle
from broker.service.assembly import assemble
from broker.settings import parse
from broker.web.app import create_app
from tests.small_files import flac, mp3, png, wav, webm
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, JWT_SECRET, client, token
from .forms import TYPE, field_part, file_part, form
from .running_server import RunningServer, request

MEDIA, BATCH = "/api/v1/uploads/media", "/api/v1/uploads/media/batch"
PUBLIC = {**ENVIRONMENT, "R2_PUBLIC_URL": "https://cdn.example", "R2_STAGING_BUCKET_NAME": "staging"}
MP3 = mp3(1000)
SAMPLES = {"audio/mpeg": MP3, "audio/flac": flac(), "audio/wav": wav(), "video/webm": webm(), "image/png": png()}
KEY = re.compile(r"media/[0-9a-f-]{36}\.mp3")


def test_a_file_has_both_shapes_of_jamsync() -> None:
    """The response has the members that the Express backend and the Next route had."""
    store = MemoryObjectStore()
    fields = {"title": "A song", "description": "", "tags": "a,b", "createTrack": "true"}
    with client(store, environment=PUBLIC) as app:
        response = app.post(MEDIA, files={"file": ("My song.mp3", MP3, "audio/mp3")}, data=fields)
        assert response.status_code == 201
        document = response.json()
        found = app.get(f"/api/v1/objects/{document['key']}").json()
    assert KEY.fullmatch(document["key"])
    assert document == {
        "url": f"https://cdn.example/{document['key']}",
        "key": document["key"],
        "filename": document["key"].removeprefix("media/"),
        "mimetype": "audio/mpeg",
        "size": 1000,
        "isMedia": True,
    }
    assert response.headers["location"] == f"/api/v1/objects/{document['key']}"
    assert response.headers["cache-control"] == "no-store"
    assert (found["owner"], found["filename"]) == ("user-1", "My song.mp3")
    assert store.objects[ObjectRef("songs", document["key"])][1] == MP3


@pytest.mark.parametrize("content_type", SAMPLES)
@pytest.mark.parametrize("declared", [None, "", "application/octet-stream"])
def test_every_type_is_taken(content_type: str, declared: str | None) -> None:
    """A file of every accepted type is taken by its declared type, or by its name."""
    name = f"recording.{MEDIA_TYPE_BY_NAME[content_type].extension}"
    kind = content_type if declared is None else declared
    body = form(file_part(SAMPLES[content_type], f'name="file"; filename="{name}"', kind))
    with client(MemoryObjectStore()) as app:
        response = app.post(MEDIA, content=body, headers={"Content-Type": TYPE})
    assert response.status_code == 201, response.text
    if declared is None:
        assert response.json()["mimetype"] == content_type
    assert response.json()["isMedia"] is not response.json()["mimetype"].startswith("image/")


def test_a_batch_is_stored_in_order() -> None:
    """The response of a batch has the stored files in the order of the form, and their number."""
    with client(MemoryObjectStore()) as app:
        files = [("files", (f"{number}.mp3", mp3(1000 + number), "audio/mpeg")) for number in range(10)]
        response = app.post(BATCH, files=files)
    assert response.status_code == 201
    assert response.json()["count"] == 10
    assert [each["size"] for each in response.json()["files"]] == list(range(1000, 1010))
    assert set(response.json()["files"][0]) == {"url", "key", "filename", "mimetype", "size", "isMedia"}


def test_a_batch_is_stored_whole_or_not_at_all() -> None:
    """One refused file refuses the batch, and nothing of it is stored."""
    store = MemoryObjectStore()
    with client(store) as app:
        files = [("files", ("a.mp3", MP3, "audio/mpeg")), ("files", ("b.mp3", b"<html>" * 99, "audio/mpeg"))]
        response = app.post(BATCH, files=files)
    assert (response.status_code, response.json()["code"]) == (422, "content_mismatch")
    assert (store.objects, store.multiparts) == ({}, {})


REFUSALS: list[tuple[str, dict[str, Any], int, str]] = [
    (MEDIA, {}, 400, "No file uploaded"),
    (MEDIA, {"files": {"other": ("a.mp3", MP3)}}, 400, "No file uploaded"),
    (BATCH, {}, 400, "No files uploaded"),
    (BATCH, {"files": {"file": ("a.mp3", MP3)}}, 400, "No files uploaded"),
    (MEDIA, {"files": {"file": ("a.mp3", b"", "audio/mpeg")}}, 400, "Empty file"),
    (BATCH, {"files": {"files": ("a.mp3", b"", "audio/mpeg")}}, 400, "Empty file"),
    (MEDIA, {"json": {}}, 415, "Unsupported media type"),
    (MEDIA, {"content": b"x" * 99, "headers": {"Content-Type": TYPE}}, 400, "Malformed request"),
    (MEDIA, {"files": {"file": ("a.txt", MP3, "text/plain")}}, 422, "Unsupported media type"),
    (MEDIA, {"files": {"file": ("a.mp3", b"<html>" * 99, "audio/mpeg")}}, 422, "Content mismatch"),
    (MEDIA, {"files": [("file", ("a.mp3", MP3)), ("file", ("b.mp3", MP3))]}, 422, "Invalid request"),
    (MEDIA, {"files": {"file": ("a.mp3", MP3)}, "params": {"x": "y"}}, 422, "Invalid request"),
    (MEDIA, {"files": {"file": ("a.mp3", mp3(6000), "audio/mpeg")}}, 413, "Too large"),
    (MEDIA, {"files": {"file": ("a.mp3", mp3(99_000), "audio/mpeg")}}, 413, "Too large"),
    (MEDIA, {"files": {"file": ("a.mp3", MP3)}, "headers": {"Authorization": "Bearer x"}}, 401, "Invalid token"),
    (BATCH, {"files": {"files": ("a.mp3", MP3)}, "headers": {"Authorization": "Basic x"}}, 401, "Invalid token"),
]


@pytest.mark.parametrize(("path", "options", "status", "title"), REFUSALS)
def test_a_refusal_has_the_members_of_jamsync(path: str, options: dict[str, Any], status: int, title: str) -> None:
    """A refusal is a problem document with JamSync's ``error`` and ``message``, and leaves nothing in the store."""
    store = MemoryObjectStore()
    with client(store, environment={**ENVIRONMENT, "UPLOAD_MAX_BYTES": "5000"}) as app:
        response = app.post(path, **options)
    problem = response.json()
    assert (response.status_code, problem["error"], problem["message"]) == (status, title, problem["detail"])
    assert (store.objects, store.multiparts) == ({}, {})


@pytest.mark.parametrize("path", [MEDIA, BATCH])
def test_a_missing_token_has_its_title(path: str) -> None:
    """A request without a token has JamSync's title, whatever its body is."""
    with client(MemoryObjectStore()) as app:
        app.headers.pop("Authorization")
        response = app.post(path, content=b"x", headers={"Content-Type": TYPE})
    assert (response.status_code, response.json()["error"]) == (401, "No token provided")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_an_unconfigured_store_has_jamsyncs_members() -> None:
    """Without a store the response is 503 with JamSync's ``error`` and ``message``."""
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("R2_")}
    with client(MemoryObjectStore(), environment=environment) as app:
        response = app.post(MEDIA, files={"file": ("a.mp3", MP3)})
    assert (response.status_code, response.json()["error"]) == (503, "Cloud storage not configured")
    assert response.json()["message"].startswith("R2 credentials are missing. Please configure R2_ENDPOINT")


@pytest.mark.parametrize("when", ["before", "during", "after"])
async def test_a_client_that_is_gone_leaves_nothing(when: str) -> None:
    """If the connection ends before the files are stored, or meanwhile, nothing is left of them."""
    store, is_gone = MemoryObjectStore(), asyncio.Event()
    sent: list[int | None] = []
    send_object, body = store.send_object, form(file_part(MP3))

    async def slow(*arguments: Any, **options: Any) -> None:
        if when == "during":
            is_gone.set()
            await asyncio.sleep(0.01)  # until the application has seen the disconnect
        await send_object(*arguments, **options)

    async def receive() -> Message:
        if not sent:
            sent.append(None)
            return {"type": "http.request", "body": body, "more_body": False}
        if when != "before":
            await is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message.get("status"))

    store.send_object = slow  # type: ignore[method-assign]  # of this store only
    headers = [("content-type", TYPE), ("content-length", str(len(body))), ("authorization", f"Bearer {token()}")]
    fields = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": MEDIA, "query_string": b"", "headers": fields}
    await create_app(assemble(parse(ENVIRONMENT), store=store))(scope, receive, send)
    assert sent[1] == (201 if when == "after" else 400)
    assert len(store.objects) == (when == "after")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_tokens_of_jamsync_are_taken(algorithm: str) -> None:
    """A token of JamSync has ``id`` and no ``sub``: its owner is that of ``JWT_SUBJECT_CLAIM``."""
    claims = {"id": "clx1", "username": "ana", "email": "a@b.example", "exp": int(time.time()) + 7 * 86_400}
    bearer = jwt.encode(claims, JWT_SECRET + " and long enough for HS512 too", algorithm=algorithm)
    secret = {"JWT_SECRET": JWT_SECRET + " and long enough for HS512 too", "JWT_SUBJECT_CLAIM": "id"}
    with client(MemoryObjectStore(), bearer=bearer, environment={**ENVIRONMENT, **secret}) as app:
        response = app.post(MEDIA, files={"file": ("a.mp3", MP3)})
        assert response.status_code == 201
        assert app.get(f"/api/v1/objects/{response.json()['key']}").json()["owner"] == "clx1"


def test_neither_name_nor_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log line has the route, the size of the body and the code, and neither a name nor a token."""
    with caplog.at_level("INFO"), client(MemoryObjectStore()) as app:
        app.post(MEDIA, files={"file": ("canary.mp3", MP3)}, data={"title": "canary"})
        app.post(MEDIA, files={"file": ("canary.exe", MP3)}, data={"title": "canary"})
    lines = [json.loads(record.message) for record in caplog.records if "request_completed" in record.message]
    assert [(line["route"], line["status"]) for line in lines] == [(MEDIA, 201), (MEDIA, 422)]
    assert lines[0]["requestBytes"] > len(MP3)
    assert "canary" not in caplog.text
    assert token()[-20:] not in caplog.text


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """Start the application under uvicorn with a store in memory."""
    with RunningServer(create_app(assemble(parse(ENVIRONMENT), store=MemoryObjectStore()))) as running:
        yield running


def form_request(body: bytes, *fields: str) -> bytes:
    """Return the bytes of a request with a form."""
    return request("POST", MEDIA, f"Content-Type: {TYPE}", *fields, body=body)


def test_a_form_has_its_own_deadline(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short deadline of JSON bodies does not end a form, and still ends all others."""
    monkeypatch.setattr(request_cycle, "BODY_DEADLINE", 0.2)
    body = form(file_part(MP3))
    with server.connect() as connection:
        connection.send(form_request(b"", f"Content-Length: {len(body)}") + body[:500])
        time.sleep(0.5)  # longer than BODY_DEADLINE
        connection.send(body[500:])
        assert connection.replies()[0].status == 201
    with server.connect() as connection:
        connection.send(request("POST", "/api/v1/uploads", "Content-Type: application/json", "Content-Length: 9"))
        assert connection.replies()[0].status == 408


def test_a_chunked_form_is_taken(server: RunningServer) -> None:
    """A form without a length is taken in chunks."""
    body = form(field_part("title"), file_part(MP3))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:300], body[300:])) + b"0\r\n\r\n"
    (reply,) = server.replies_to(form_request(chunks, "Transfer-Encoding: chunked"))
    assert reply.status == 201


def test_a_refused_form_is_not_asked_for(server: RunningServer) -> None:
    """A client that offers its body is refused before it sends it."""
    for fields, status in (
        (["Content-Length: 99999999999"], 413),
        (["Content-Length: 9", "Content-Encoding: br"], 415),
    ):
        (reply,) = server.replies_to(form_request(b"", *fields, "Expect: 100-continue"))
        assert reply.status == status


def test_other_routes_keep_their_limit(server: RunningServer) -> None:
    """The limit of JSON bodies is as it was, for every other route and type."""
    for path in ("/api/v1/uploads", "/api/v1/uploads/confirm", "/api/v1/downloads"):
        fields = ["Content-Type: application/json", "Content-Length: 999999"]
        (reply,) = server.replies_to(request("POST", path, *fields))
        assert reply.status == 413
        fields = [f"Content-Type: {TYPE}", "Content-Length: 9"]
        (reply,) = server.replies_to(request("POST", path, *fields, body=b"x" * 9))
        assert reply.status == 415
