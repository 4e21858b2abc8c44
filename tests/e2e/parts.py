"""The steps of a multipart upload, as a client performs them."""

from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import httpx2

from tests.patience import PATIENCE
from tests.plain_http import NO_TLS

from .conftest import BUCKET
from .steps import create, mp3

PART = 8 * 2**20
CONTENT = (mp3() + bytes(range(256)) * (2 * PART // 256 + 50))[: 2 * PART + 12_345]
"""Three parts."""


def create_multipart(client: httpx2.Client, **fields: Any) -> dict[str, Any]:
    """Create a multipart upload of ``CONTENT``."""
    return create(client, CONTENT, multipart=True, **fields)


def part_of(upload: dict[str, Any], number: int) -> bytes:
    """Return the bytes of one part."""
    size = upload["partSize"]
    return CONTENT[(number - 1) * size : number * size]


def signed(client: httpx2.Client, upload: dict[str, Any], *numbers: int) -> list[dict[str, Any]]:
    """Request the URLs of some parts."""
    response = client.post(f"/uploads/{upload['uploadId']}/parts", json={"partNumbers": list(numbers)})
    assert response.status_code == 200, response.text
    return list(response.json()["parts"])


def put_part(part: dict[str, Any], content: bytes) -> httpx2.Response:
    """Send one part to the store."""
    return httpx2.put(
        part["url"], content=content, headers=part["headers"], timeout=PATIENCE, trust_env=False, verify=NO_TLS
    )


def send(client: httpx2.Client, upload: dict[str, Any], *numbers: int) -> None:
    """Send some parts."""
    for part in signed(client, upload, *numbers):
        assert put_part(part, part_of(upload, part["partNumber"])).status_code == 200


def status_of(client: httpx2.Client, upload: dict[str, Any]) -> dict[str, Any]:
    """Return the status of the upload."""
    response = client.get(f"/uploads/{upload['uploadId']}")
    assert response.status_code == 200, response.text
    return dict(response.json())


def url_of(client: httpx2.Client, upload: dict[str, Any]) -> SplitResult:
    """Return the URL of the first part."""
    return urlsplit(str(signed(client, upload, 1)[0]["url"]))


def key_of(client: httpx2.Client, upload: dict[str, Any]) -> str:
    """Return the staged key."""
    return url_of(client, upload).path.removeprefix(f"/{BUCKET}/")


def store_id_of(client: httpx2.Client, upload: dict[str, Any]) -> str:
    """Return the S3 UploadId."""
    return parse_qs(url_of(client, upload).query)["uploadId"][0]
