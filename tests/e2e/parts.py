"""The steps of a multipart upload, as a client performs them."""

from typing import Any

import httpx2

from tests.patience import PATIENCE
from tests.plain_http import NO_TLS

from .steps import create, mp3

PART = 16 * 2**20
CONTENT = (mp3() + bytes(range(256)) * (2 * PART // 256 + 50))[: 2 * PART + 12_345]
"""Three parts."""


def begin(client: httpx2.Client, **fields: Any) -> dict[str, Any]:
    """Create a multipart upload of ``CONTENT``."""
    return create(client, CONTENT, multipart=True, **fields)


def part_of(upload: dict[str, Any], number: int) -> bytes:
    """Return the bytes of one part."""
    size = upload["partSize"]
    return CONTENT[(number - 1) * size : number * size]


def signed(client: httpx2.Client, upload: dict[str, Any], *numbers: int) -> list[dict[str, Any]]:
    """Request the URLs of some parts."""
    answer = client.post(f"/uploads/{upload['uploadId']}/parts", json={"partNumbers": list(numbers)})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["parts"])


def put_part(part: dict[str, Any], content: bytes) -> httpx2.Response:
    """Send one part to the store."""
    return httpx2.put(
        part["url"], content=content, headers=part["headers"], timeout=PATIENCE, trust_env=False, verify=NO_TLS
    )


def send(client: httpx2.Client, upload: dict[str, Any], *numbers: int) -> None:
    """Send some parts."""
    for part in signed(client, upload, *numbers):
        assert put_part(part, part_of(upload, part["partNumber"])).status_code == 200


def look(client: httpx2.Client, upload: dict[str, Any]) -> dict[str, Any]:
    """Return the status of the upload."""
    answer = client.get(f"/uploads/{upload['uploadId']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
