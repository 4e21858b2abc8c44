"""A canary in every secret: a broker writes none of them, with every logger at DEBUG."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.patience import until
from tests.ports import free_port

from .processes import JWT_SECRET, Broker, token
from .steps import confirm, create, fetch, mp3, put, ready, uploaded

AT_DEBUG = """
import logging, runpy
logging.basicConfig(level=logging.DEBUG)
set_level = logging.Logger.setLevel
logging.Logger.setLevel = lambda self, _level: set_level(self, logging.DEBUG)
logging.getLogger("aiohttp.client").debug("this level is logged")
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""
FORGED = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnktc3ViamVjdCJ9.Y2FuYXJ5LXNpZ25hdHVyZQ"


@pytest.fixture
def debug_broker(tmp_path: Path, environment: dict[str, str]) -> Iterator[Broker]:
    """Start a broker with every logger at DEBUG, including asyncio's debug mode."""
    command = (sys.executable, "-X", "dev", "-c", AT_DEBUG)
    with Broker(tmp_path, environment, command=command) as running:
        yield running


def secrets_of(url: str) -> set[str]:
    """Return the parts of a signed URL that make it a capability."""
    query = parse_qs(urlsplit(url).query)
    return {query["X-Amz-Signature"][0], query["X-Amz-Credential"][0]}


def test_l01_no_secret_is_logged(debug_broker: Broker, tmp_path: Path, environment: dict[str, str]) -> None:
    """L01: Neither successful nor failed requests write a secret to the log."""
    bearer = token()
    headers = {"Authorization": f"Bearer {bearer}"}
    with debug_broker.client() as client:
        client.headers.update(headers)
        upload = uploaded(client, mp3())
        track = confirm(client, upload).json()
        link = client.get(f"/downloads/{track['key']}?filename=canary-name.mp3").json()["url"]
        parts = create(client, mp3(), multipart=True)
        signed = client.post(f"/uploads/{parts['uploadId']}/parts", json={"partNumbers": [1]}).json()
        part = signed["parts"][0]["url"]
        client.get(f"/objects/{track['key']}")
        client.delete(f"/uploads/{parts['uploadId']}")
        client.post("/uploads", content=b'{"filename": "canary-body"')
        client.get("/keys", params={"url": link})
        client.get("/keys", headers={"Authorization": f"Bearer {FORGED}"})
        client.get("/keys", headers={"Authorization": f"Bearer {bearer[:-2]}", "X-Request-Id": "the-last"})
        until(lambda: "the-last" in debug_broker.written())
    hidden = {bearer, FORGED, JWT_SECRET, environment["R2_SECRET_ACCESS_KEY"], upload["uploadId"], parts["uploadId"]}
    for url in (upload["url"], link, part):
        hidden |= secrets_of(url)
    hidden |= {"canary-name", "canary-body", "canary-signature", track["receipt"]}
    written = debug_broker.written()
    assert "this level is logged" in written
    assert '"event":"broker.request_completed"' in written
    assert {secret for secret in hidden if secret in written} == set()
    assert not re.search(r"X-Amz-(Signature|Credential)=|Bearer |eyJ", written)


def test_l06_error_response_hides_the_store(tmp_path: Path, environment: dict[str, str]) -> None:
    """L06: The 503 for an unreachable store contains neither the store's address nor its settings."""
    away = {**environment, "R2_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with Broker(tmp_path, away) as broker, broker.client() as client:
        response = confirm(client, create(client, mp3()))
    assert response.status_code == 503
    visible = response.text + repr(response.headers)
    for hidden in (away["R2_ENDPOINT"], away["R2_ACCESS_KEY_ID"], away["R2_BUCKET_NAME"], "incoming/"):
        assert hidden not in visible


UNSIGNED = {
    "Content-Disposition": "inline",
    "Content-Language": "xx",
    "Cache-Control": "public, max-age=999999",
    "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
}


def test_e09_content_encoding_is_a_mismatch(broker: Broker) -> None:
    """E09, P15: A staged object with a Content-Encoding is a 409, because a retry cannot succeed."""
    with broker.client() as client:
        upload = create(client, mp3())
        assert put(upload, mp3(), **{"Content-Encoding": "gzip"}).status_code == 200
        responses = [confirm(client, upload) for _ in range(2)]
    assert [(response.status_code, response.json()["code"]) for response in responses] == [
        (409, "encoding_mismatch")
    ] * 2


def test_p15_unsigned_headers_do_not_reach_the_object(broker: Broker) -> None:
    """P15: Unsigned header fields of a PUT do not reach the ready object."""
    with broker.client() as client:
        upload = create(client, mp3())
        sent = put(upload, mp3(), **UNSIGNED)
        assert sent.status_code == 200
        key = confirm(client, upload).json()["key"]
        link = client.get(f"/downloads/{key}").json()["url"]
        plain = ready(client, mp3())["key"]
        other = client.get(f"/downloads/{plain}").json()["url"]
    names = [name.lower() for name in UNSIGNED]
    served, usual = (fetch(url).headers for url in (link, other))
    assert served["content-type"] == "audio/mpeg"
    assert {name: served.get(name) for name in names} == {name: usual.get(name) for name in names}
