"""The steps of an upload, as a client performs them."""

import hashlib
from typing import Any

import httpx2

from tests.media import SAMPLES
from tests.patience import PATIENCE
from tests.plain_http import NO_TLS

MP3 = "audio/mpeg"


def create(client: httpx2.Client, content: bytes, content_type: str = MP3, **fields: Any) -> dict[str, Any]:
    """Create an upload of ``content``."""
    headers = fields.pop("headers", {})
    declared = {"filename": "My söng.mp3", "contentType": content_type, "size": len(content), **fields}
    response = client.post("/uploads", json=declared, headers=headers)
    assert response.status_code == 201, response.text
    return dict(response.json())


def put(upload: dict[str, Any], content: bytes, **changes: str) -> httpx2.Response:
    """Send the bytes to the store with the signed headers and some ``changes``."""
    headers = {**upload["headers"], **changes}
    return httpx2.put(upload["url"], content=content, headers=headers, timeout=PATIENCE, trust_env=False, verify=NO_TLS)


def confirm(client: httpx2.Client, upload: dict[str, Any]) -> httpx2.Response:
    """Confirm the upload."""
    return client.post(f"/uploads/{upload['uploadId']}/confirm")


def uploaded(client: httpx2.Client, content: bytes, content_type: str = MP3, **fields: Any) -> dict[str, Any]:
    """Create an upload and send its bytes."""
    upload = create(client, content, content_type, **fields)
    assert put(upload, content).status_code == 200
    return upload


def ready(client: httpx2.Client, content: bytes, content_type: str = MP3, **fields: Any) -> dict[str, Any]:
    """Create, send and confirm an upload; return the document of the object."""
    response = confirm(client, uploaded(client, content, content_type, **fields))
    assert response.status_code == 200, response.text
    return dict(response.json())


def served(client: httpx2.Client, key: str) -> bytes:
    """Return the bytes that a download link to ``key`` serves."""
    link = client.get(f"/downloads/{key}").json()["url"]
    response = fetch(link)
    assert response.status_code == 200, response.text
    return response.content


def fetch(url: str) -> httpx2.Response:
    """GET a URL without any credentials."""
    return httpx2.get(url, timeout=PATIENCE, trust_env=False, verify=NO_TLS)


def digest(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def mp3() -> bytes:
    """Return a real MP3."""
    return SAMPLES[MP3]()
