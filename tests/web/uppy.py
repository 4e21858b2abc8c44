"""A client of the routes of Uppy, and a store with the parts that it sends."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.testclient import TestClient

from broker.core.limits import MIB
from broker.core.model import ObjectRef
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore

SIZE = 11 * MIB
PART = 5 * MIB
"""Bytes of the parts that Uppy makes without further options."""

FILE = {"filename": "song.mp3", "type": "audio/mpeg", "metadata": {"name": "song.mp3", "size": str(SIZE)}}
PARTS = {"parts": [{"PartNumber": number, "ETag": f'"{number}"'} for number in (1, 2, 3)]}


def created(user: TestClient, below: str = "/s3", **changes: Any) -> dict[str, str]:
    """Create an upload in parts; return its upload id and key."""
    response = user.post(f"{below}/multipart", json={**FILE, **changes})
    assert response.status_code == 200, response.text
    return dict(response.json())


def path(upload: dict[str, str], suffix: str = "", *, below: str = "/s3", query: str = "") -> str:
    """Return the path and query of a request about an upload."""
    return f"{below}/multipart/{upload['uploadId']}{suffix}?key={upload['key']}{query}"


def complete(user: TestClient, upload: dict[str, str], below: str = "/s3") -> httpx2.Response:
    """Send the completion of an upload in three parts."""
    return user.post(path(upload, "/complete", below=below), json=PARTS)


def send(store: MemoryObjectStore, *numbers: int, size: int = SIZE) -> None:
    """Store the parts of the newest upload with few bytes."""
    s3_upload_id = [*store.multiparts][-1]
    for number in numbers:
        body = mp3(60) if number == 1 else b"part"
        store.put_part(s3_upload_id, number, body, size=min(PART, size - (number - 1) * PART))


def place(url: str) -> ObjectRef:
    """Return the object of a presigned URL."""
    bucket, _, key = urlsplit(url).path.strip("/").partition("/")
    return ObjectRef(bucket, key)


def signed_headers(url: str) -> str:
    """Return the names of the signed header fields of a presigned URL."""
    return parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0]
