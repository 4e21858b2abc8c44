"""Create, PUT to the store, confirm and download, with real processes and a store that verifies signatures."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt
import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.core.media import MEDIA_TYPES
from broker.crypto.sigv4 import Credentials
from broker.store import admin
from tests.media import SAMPLES
from tests.patience import PATIENCE
from tests.plain_http import NO_TLS

from .conftest import BUCKET
from .processes import Broker
from .steps import confirm, create, digest, fetch, mp3, put, ready, served, uploaded

API_PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def without_request_id(response: httpx2.Response) -> tuple[int, dict[str, str], str]:
    """Return a response as the caller sees it, without the values that differ in each response."""
    headers = {name: value for name, value in response.headers.items() if name not in ("x-request-id", "date")}
    return response.status_code, headers, response.text.replace(response.headers["x-request-id"], "ID")


@pytest.mark.parametrize("content_type", [media.name for media in MEDIA_TYPES])
def test_every_type_is_served_unchanged(broker: Broker, content_type: str) -> None:
    """A real file of every accepted type becomes ready and is served byte for byte."""
    content = SAMPLES[content_type]()
    with broker.client() as client:
        track = ready(client, content, content_type)
        assert digest(served(client, track["key"])) == digest(content)
    assert track["contentType"] == content_type
    assert track["filename"] == "My söng.mp3"
    assert track["size"] == len(content)


def test_media_does_not_pass_through_broker(broker: Broker, store: SeaweedFS) -> None:
    """The bytes of a file go to the store alone; the broker receives small JSON documents."""
    with broker.client() as client:
        client.headers["X-Request-Id"] = "no-media"
        upload = uploaded(client, mp3())
        assert upload["url"].startswith(f"{store.endpoint}/{BUCKET}/incoming/")
        assert confirm(client, upload).status_code == 200
    requests = broker.requests("no-media", 2)
    assert [line["status"] for line in requests] == [201, 200]
    assert sum(line.get("requestBytes", 0) for line in requests) < 200


def test_ready_object_has_its_metadata(broker: Broker, store: SeaweedFS) -> None:
    """The ready object has the content type, Cache-Control, owner and file name."""
    with broker.client() as client:
        track = ready(client, mp3())
        link = client.get(f"/downloads/{track['key']}").json()["url"]
        found = client.get(f"/objects/{track['key']}").json()
    stored = fetch(link).headers
    assert stored["content-type"] == "audio/mpeg"
    assert stored["cache-control"] == "private, max-age=31536000, immutable"
    assert stored["x-amz-meta-owner"] == "user-1"
    assert stored["x-amz-meta-filename"] == "My%20s%C3%B6ng.mp3"
    assert (found["owner"], found["filename"], found["etag"]) == ("user-1", "My söng.mp3", track["etag"])


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("another type", {"Content-Type": "text/html"}),
        ("no write-once", {"If-None-Match": "x"}),
        ("another checksum", {"x-amz-checksum-sha256": "A" * 43 + "="}),
        ("another MD5", {"Content-MD5": "A" * 22 + "=="}),
        ("an unsigned copy source", {"x-amz-copy-source": f"{BUCKET}/media/x"}),
        ("unsigned metadata", {"x-amz-meta-owner": "user-2"}),
    ],
)
def test_store_refuses_changed_headers(broker: Broker, what: str, changes: dict[str, str]) -> None:
    """The store refuses a PUT whose header fields differ from the signed ones."""
    content = mp3()
    with broker.client() as client:
        upload = create(client, content, sha256=digest(content), md5=hashlib.md5(content).hexdigest())
        assert put(upload, content, **changes).status_code == 403, what
        assert confirm(client, upload).json()["code"] == "not_uploaded"


@pytest.mark.parametrize("change", [lambda b: b + b"x", lambda b: b[:-1]], ids=["larger", "smaller"])
def test_store_refuses_another_size(broker: Broker, change: Any) -> None:
    """P13: The store refuses a body that is larger or smaller than declared."""
    with broker.client() as client:
        upload = create(client, mp3())
        assert put(upload, change(mp3())).status_code == 403
        assert confirm(client, upload).json()["code"] == "not_uploaded"


def test_store_refuses_wrong_checksum(broker: Broker) -> None:
    """The store refuses bytes that do not match the signed SHA-256, and accepts the right ones afterwards."""
    content = mp3()
    other = content[:-1] + bytes([content[-1] ^ 1])
    with broker.client() as client:
        upload = create(client, content, sha256=digest(content))
        assert put(upload, other).status_code == 400
        assert confirm(client, upload).json()["code"] == "not_uploaded"
        assert put(upload, content).status_code == 200
        assert confirm(client, upload).json()["sha256"] is not None


def test_store_refuses_changed_url(broker: Broker) -> None:
    """P07, P08: The store refuses a URL with another key, method or expiry."""
    with broker.client() as client:
        upload = create(client, mp3())
        other = create(client, mp3())
    moved = upload["url"].replace(urlsplit(upload["url"]).path, urlsplit(other["url"]).path)
    assert put({**upload, "url": moved}, mp3()).status_code == 403
    stretched = re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=86400", upload["url"])
    assert put({**upload, "url": stretched}, mp3()).status_code == 403
    for method in ("GET", "DELETE", "HEAD", "POST"):
        response = httpx2.request(
            method, upload["url"], headers=upload["headers"], timeout=PATIENCE, trust_env=False, verify=NO_TLS
        )
        assert response.status_code in (403, 405), method


def test_second_put_is_refused(broker: Broker) -> None:
    """P11: A second PUT with the same URL returns 412 and changes nothing, before and after the confirm."""
    first, second = SAMPLES["image/png"](), SAMPLES["image/png"]()[:-1] + b"x"
    with broker.client() as client:
        upload = uploaded(client, first, "image/png")
        assert put(upload, second).status_code == 412
        track = confirm(client, upload).json()
        assert put(upload, second).status_code == 412
        assert served(client, track["key"]) == first


def test_put_url_does_not_change_ready_object(broker: Broker) -> None:
    """P11, P12, P25: After a confirm, neither an abort nor a second PUT changes the object."""
    first, second = SAMPLES["image/png"](), SAMPLES["image/png"]()[:-1] + b"x"
    with broker.client() as client:
        upload = uploaded(client, first, "image/png")
        track = confirm(client, upload).json()
        refusal = client.delete(f"/uploads/{upload['uploadId']}")
        assert (refusal.status_code, refusal.json()["code"]) == (409, "upload_confirmed")
        assert put(upload, second).status_code == 412
        assert confirm(client, upload).json() == track
        assert served(client, track["key"]) == first


def test_confirm_without_put_is_409(broker: Broker) -> None:
    """Confirming an upload before its PUT returns 409 not_uploaded."""
    with broker.client() as client:
        response = confirm(client, create(client, mp3()))
    assert (response.status_code, response.json()["code"]) == (409, "not_uploaded")


@pytest.mark.parametrize(
    ("content_type", "change", "code", "status"),
    [
        ("audio/mpeg", lambda b: b + b"x", "size_mismatch", 409),
        ("text/html", lambda b: b, "type_mismatch", 409),
        ("audio/mpeg", lambda b: b[::-1], "content_mismatch", 422),
    ],
)
def test_confirm_reports_the_mismatch(
    broker: Broker, store: SeaweedFS, content_type: str, change: Any, code: str, status: int
) -> None:
    """An object that was written with the store's own credentials and differs from the declaration is refused."""
    client_of_store = admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))
    with broker.client() as client:
        upload = create(client, mp3())
        key = urlsplit(upload["url"]).path.removeprefix(f"/{BUCKET}/")
        client_of_store.put_object(Bucket=BUCKET, Key=key, Body=change(mp3()), ContentType=content_type)
        response = confirm(client, upload)
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert client.get(f"/objects/{key.replace('incoming', 'media')}").status_code == 404


def test_confirm_refuses_wrong_md5(broker: Broker, store: SeaweedFS) -> None:
    """An object whose MD5 differs from the declared one is not confirmed."""
    client_of_store = admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))
    with broker.client() as client:
        upload = create(client, mp3(), md5="00" * 16)
        key = urlsplit(upload["url"]).path.removeprefix(f"/{BUCKET}/")
        client_of_store.put_object(Bucket=BUCKET, Key=key, Body=mp3(), ContentType="audio/mpeg")
        assert confirm(client, upload).json()["code"] == "checksum_mismatch"


@pytest.mark.parametrize("method_and_path", ["GET ", "DELETE ", "POST /confirm"])
def test_foreign_upload_looks_unknown(broker: Broker, method_and_path: str) -> None:
    """P01: Another user's upload and an unknown upload return the same 404."""
    method, path = method_and_path.split(" ")
    with broker.client("user-1") as owner, broker.client("user-2") as other:
        mine = uploaded(owner, mp3())["uploadId"]
        unknown = mine[:-2] + ("AA" if mine[-2:] != "AA" else "BB")
        responses = [other.request(method, f"/uploads/{upload_id}{path}") for upload_id in (mine, unknown, "x")]
        assert without_request_id(responses[0]) == without_request_id(responses[1]) == without_request_id(responses[2])
        assert responses[0].status_code == 404
        assert owner.get(f"/uploads/{mine}").json()["status"] == "uploaded"


def test_service_confirms_and_deletes_for_users(broker: Broker) -> None:
    """A service confirms and deletes uploads of any user."""
    with broker.client("user-1") as user, broker.client("backend", scope="broker:service") as service:
        upload = uploaded(user, mp3())
        track = confirm(service, upload).json()
        assert track["owner"] == "user-1"
        assert confirm(user, upload).json() == track
        unknown = track["key"].replace(".mp3", ".flac")
        outcome = service.post("/objects/delete", json={"keys": [track["key"], unknown]}).json()
        assert [result["status"] for result in outcome["results"]] == ["deleted", "deleted"]
        assert user.get(f"/objects/{track['key']}").status_code == 404
        assert confirm(user, upload).json()["code"] == "upload_deleted"


def test_deleted_object_stays_deleted(broker: Broker) -> None:
    """Only the owner can delete its object, and no confirm restores it."""
    with broker.client("user-1") as owner, broker.client("user-2") as other:
        upload = uploaded(owner, mp3())
        key = confirm(owner, upload).json()["key"]
        assert other.delete(f"/objects/{key}").status_code == 404
        assert other.get(f"/objects/{key}").status_code == 404
        assert owner.head(f"/objects/{key}").status_code == 200
        assert [owner.delete(f"/objects/{key}").status_code for _ in range(2)] == [204, 404]
        assert confirm(owner, upload).json()["code"] == "upload_deleted"


def test_status_follows_the_upload(broker: Broker) -> None:
    """The status of an upload is pending, uploaded and then ready."""
    with broker.client() as client:
        upload = create(client, mp3())
        path = f"/uploads/{upload['uploadId']}"
        seen = [client.get(path).json()]
        put(upload, mp3())
        seen.append(client.get(path).json())
        key = confirm(client, upload).json()["key"]
        seen.append(client.get(path).json())
    assert [look["status"] for look in seen] == ["pending", "uploaded", "ready"]
    assert [look["uploadedBytes"] for look in seen] == [0, len(mp3()), len(mp3())]
    assert seen[2]["key"] == key


def test_concurrent_confirms_agree(broker: Broker) -> None:
    """Fifty concurrent confirms return the same response."""
    with broker.client() as client:
        upload = uploaded(client, mp3())
        with ThreadPoolExecutor(50) as pool:
            responses = list(pool.map(lambda _: confirm(client, upload), range(50)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.text for response in responses}) == 1


def test_idempotency_key_names_one_object(broker: Broker) -> None:
    """A create that is retried with its Idempotency-Key names the same object."""
    headers = {"Idempotency-Key": "retry-1"}
    with broker.client() as client:
        first, second = (create(client, mp3(), headers=headers) for _ in range(2))
        assert put(first, mp3()).status_code == 200
        assert put(second, mp3()).status_code == 412
        tracks = [confirm(client, upload).json() for upload in (first, second)]
        assert tracks[0] == tracks[1]
        assert create(client, mp3() + b"x", headers=headers)["url"] != first["url"]


def test_batch_keeps_its_order(broker: Broker) -> None:
    """Batches of creates, confirms and downloads return their results in the order of the request."""
    kinds = ["audio/wav", "image/webp", "audio/flac"]
    with broker.client() as client:
        files = [{"filename": k, "contentType": k, "size": len(SAMPLES[k]())} for k in kinds]
        uploads = client.post("/uploads/batch", json={"files": files}).json()["uploads"]
        for upload, kind in zip(uploads[:2], kinds, strict=False):
            assert put(upload, SAMPLES[kind]()).status_code == 200
        results = client.post("/uploads/confirm", json={"uploadIds": [u["uploadId"] for u in uploads]}).json()[
            "results"
        ]
        assert [result.get("contentType", "-") for result in results] == ["audio/wav", "image/webp", "-"]
        assert results[2]["problem"]["code"] == "not_uploaded"
        keys = [result["key"] for result in results[:2]]
        links = client.post("/downloads", json={"keys": keys}).json()["downloads"]
        for link, kind in zip(links, kinds, strict=False):
            assert fetch(link["url"]).content == SAMPLES[kind]()


def test_receipt_verifies_with_documented_snippet(broker: Broker) -> None:
    """The documented snippet verifies a receipt and rejects a changed one."""
    snippet = API_PAGE.split("<!-- test: receipt -->\n```python\n")[1].split("```")[0]
    with broker.client() as client:
        response = ready(client, mp3())
    names: dict[str, Any] = {"BROKER": broker.url, "receipt": response["receipt"]}
    exec(snippet, names)
    assert len([line for line in snippet.splitlines() if line]) == 5
    assert names["track"]["key"] == response["key"]
    with pytest.raises(jwt.InvalidSignatureError):
        exec(snippet, {**names, "receipt": response["receipt"][:-4] + "AAAA"})
