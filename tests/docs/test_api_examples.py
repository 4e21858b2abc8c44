"""The examples of api.md compared with the responses of a real broker over a real store."""

import json
from typing import Any

import httpx2

from tests.e2e.processes import Broker, token
from tests.e2e.steps import mp3, put
from tests.media import wav

from .markdown import noted

PART = 8 * 2**20
"""Bytes of a part."""


def shape(document: Any) -> Any:
    """Return the names of the members of a document, and the types of its values."""
    if isinstance(document, dict):
        return {name: shape(value) for name, value in document.items()}
    if isinstance(document, list):
        return [shape(document[0])]
    return type(document).__name__


def examples(note: str) -> list[Any]:
    """Return the shapes of the examples of one response."""
    return [shape(json.loads(found.text)) for found in noted(f"json: {note}") if found.page.name == "api.md"]


def assert_shown(note: str, response: httpx2.Response) -> Any:
    """Assert that the response has the shape of an example; return its document."""
    document = response.json()
    assert str(response.status_code) == note.rpartition(" ")[2]
    assert shape(document) in examples(note), shape(document)
    return document


def test_small_file_gets_the_shown_responses(broker: Broker) -> None:
    """The responses from create to delete have the members that api.md shows."""
    content = mp3()
    declared = {"filename": "My song.mp3", "contentType": "audio/mpeg", "size": len(content)}
    with broker.client() as client:
        upload = assert_shown("POST /api/v1/uploads 201", client.post("/uploads", json=declared))
        batch = client.post("/uploads/batch", json={"files": [declared, declared]})
        assert_shown("POST /api/v1/uploads/batch 201", batch)
        ids = {"uploadIds": [upload["uploadId"]]}
        assert_shown("POST /api/v1/uploads/confirm 200", client.post("/uploads/confirm", json=ids))
        assert put(upload, content).status_code == 200
        confirmed = client.post(f"/uploads/{upload['uploadId']}/confirm")
        key = assert_shown("POST /api/v1/uploads/{uploadId}/confirm 200", confirmed)["key"]
        link = assert_shown("GET /api/v1/downloads/{key} 200", client.get(f"/downloads/{key}"))
        assert_shown("POST /api/v1/downloads 200", client.post("/downloads", json={"keys": [key]}))
        assert_shown("GET /api/v1/objects/{key} 200", client.get(f"/objects/{key}"))
        assert_shown("GET /api/v1/keys 200", client.get("/keys", params={"url": link["url"]}))
    with broker.client("backend", scope="broker:service") as service:
        deleted = service.post("/objects/delete", json={"keys": [key]})
        assert_shown("POST /api/v1/objects/delete 200", deleted)


def test_file_in_parts_gets_the_shown_responses(broker: Broker) -> None:
    """The responses for a file in parts have the members that api.md shows."""
    content = wav() + bytes(PART)
    declared = {"filename": "Stems.wav", "contentType": "audio/wav", "size": len(content)}
    with broker.client() as client:
        upload = assert_shown("POST /api/v1/uploads 201", client.post("/uploads", json=declared))
        parts = client.post(f"/uploads/{upload['uploadId']}/parts", json={"from": 1, "to": 2})
        signed = assert_shown("POST /api/v1/uploads/{uploadId}/parts 200", parts)
        sent = httpx2.put(signed["parts"][0]["url"], content=content[:PART], timeout=60, trust_env=False)
        assert sent.status_code == 200
        assert_shown("GET /api/v1/uploads/{uploadId} 200", client.get(f"/uploads/{upload['uploadId']}"))
        assert client.delete(f"/uploads/{upload['uploadId']}").status_code == 204


def test_public_endpoints_give_the_shown_responses(broker: Broker) -> None:
    """The endpoints without a token have the members that api.md shows."""
    with httpx2.Client(base_url=broker.url, trust_env=False, timeout=60) as client:
        for path in ("/healthz", "/api/v1/uploads/status", "/.well-known/jwks.json"):
            assert_shown(f"GET {path} 200", client.get(path))
        assert [shape(client.get("/readyz").json())] == examples("GET /readyz 503")


def test_error_has_the_shown_members(broker: Broker) -> None:
    """An error has the members that api.md shows."""
    declared = {"filename": "My song.mp3", "contentType": "audio/mpeg", "size": 0}
    with broker.client() as client:
        assert_shown("POST /api/v1/uploads 422", client.post("/uploads", json=declared))


def test_rows_about_refused_requests_are_true(broker: Broker) -> None:
    """A second PUT answers 412, a HEAD to a link 403, and a deleted upload 410, as api.md says."""
    content = mp3()
    declared = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": len(content)}
    headers = {"Idempotency-Key": token()[-20:]}
    with broker.client() as client:
        upload = client.post("/uploads", json=declared, headers=headers).json()
        assert put(upload, content).status_code == 200
        again = client.post("/uploads", json=declared, headers=headers).json()
        assert put(again, content).status_code == 412
        key = client.post(f"/uploads/{upload['uploadId']}/confirm").json()["key"]
        link = client.get(f"/downloads/{key}").json()["url"]
        assert httpx2.head(link, trust_env=False).status_code == 403
        first = httpx2.get(link, headers={"Range": "bytes=0-0"}, trust_env=False)
        assert (first.status_code, len(first.content)) == (206, 1)
        assert client.delete(f"/uploads/{upload['uploadId']}").json()["code"] == "upload_confirmed"
        assert client.delete(f"/objects/{key}").status_code == 204
        assert client.post(f"/uploads/{upload['uploadId']}/confirm").json()["code"] == "upload_deleted"
        assert client.delete(f"/objects/{key}").status_code == 404
