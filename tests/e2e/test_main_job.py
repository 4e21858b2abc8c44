"""Create, PUT straight to the store, confirm, download: with real processes and a store that verifies signatures."""

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

from .conftest import BUCKET
from .processes import Broker
from .steps import confirm, create, digest, fetch, mp3, put, ready, served, uploaded

API_PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def without_request_id(answer: httpx2.Response) -> tuple[int, dict[str, str], str]:
    """An answer as the caller sees it, what is different in every answer left out."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, headers, answer.text.replace(answer.headers["x-request-id"], "ID")


@pytest.mark.parametrize("content_type", [media.name for media in MEDIA_TYPES])
def test_a_real_file_of_every_type_becomes_ready_and_is_served_bit_by_bit(broker: Broker, content_type: str) -> None:
    content = SAMPLES[content_type]()
    with broker.client() as client:
        track = ready(client, content, content_type)
        assert digest(served(client, track["key"])) == digest(content)
    assert track["contentType"] == content_type
    assert track["filename"] == "My söng.mp3"
    assert track["size"] == len(content)


def test_no_byte_of_media_passes_through_the_broker(broker: Broker, store: SeaweedFS) -> None:
    with broker.client() as client:
        client.headers["X-Request-Id"] = "no-media"
        upload = uploaded(client, mp3())
        assert upload["url"].startswith(f"{store.endpoint}/{BUCKET}/incoming/")
        assert confirm(client, upload).status_code == 200
    requests = broker.requests("no-media", 2)
    assert [line["status"] for line in requests] == [201, 200]
    assert sum(line.get("requestBytes", 0) for line in requests) < 200


def test_the_ready_object_carries_type_caching_owner_and_name(broker: Broker, store: SeaweedFS) -> None:
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
def test_the_store_refuses_other_headers_than_were_signed(broker: Broker, what: str, changes: dict[str, str]) -> None:
    content = mp3()
    with broker.client() as client:
        upload = create(client, content, sha256=digest(content), md5=hashlib.md5(content).hexdigest())
        assert put(upload, content, **changes).status_code == 403, what
        assert confirm(client, upload).json()["code"] == "not_uploaded"


@pytest.mark.parametrize("change", [lambda b: b + b"x", lambda b: b[:-1]], ids=["larger", "smaller"])
def test_the_store_refuses_another_size(broker: Broker, change: Any) -> None:
    """P13."""
    with broker.client() as client:
        upload = create(client, mp3())
        assert put(upload, change(mp3())).status_code == 403
        assert confirm(client, upload).json()["code"] == "not_uploaded"


def test_the_store_refuses_other_bytes_than_the_checksum_promises(broker: Broker) -> None:
    content = mp3()
    other = content[:-1] + bytes([content[-1] ^ 1])
    with broker.client() as client:
        upload = create(client, content, sha256=digest(content))
        assert put(upload, other).status_code == 400
        assert confirm(client, upload).json()["code"] == "not_uploaded"
        assert put(upload, content).status_code == 200
        assert confirm(client, upload).json()["sha256"] is not None


def test_the_store_refuses_another_key_method_or_expiry(broker: Broker) -> None:
    """P07, P08."""
    with broker.client() as client:
        upload = create(client, mp3())
        other = create(client, mp3())
    moved = upload["url"].replace(urlsplit(upload["url"]).path, urlsplit(other["url"]).path)
    assert put({**upload, "url": moved}, mp3()).status_code == 403
    stretched = re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=86400", upload["url"])
    assert put({**upload, "url": stretched}, mp3()).status_code == 403
    for method in ("GET", "DELETE", "HEAD", "POST"):
        answer = httpx2.request(method, upload["url"], headers=upload["headers"], timeout=PATIENCE, trust_env=False)
        assert answer.status_code in (403, 405), method


def test_a_second_put_with_the_same_url_is_refused_and_changes_nothing(broker: Broker) -> None:
    """P11."""
    first, second = SAMPLES["image/png"](), SAMPLES["image/png"]()[:-1] + b"x"
    with broker.client() as client:
        upload = uploaded(client, first, "image/png")
        assert put(upload, second).status_code == 412
        track = confirm(client, upload).json()
        assert put(upload, second).status_code == 412
        assert served(client, track["key"]) == first


def test_a_put_url_used_again_changes_nothing_that_is_served(broker: Broker) -> None:
    """P11, P12, P25: an abort after the confirm is refused and leaves the staged object where it is."""
    first, second = SAMPLES["image/png"](), SAMPLES["image/png"]()[:-1] + b"x"
    with broker.client() as client:
        upload = uploaded(client, first, "image/png")
        track = confirm(client, upload).json()
        refusal = client.delete(f"/uploads/{upload['uploadId']}")
        assert (refusal.status_code, refusal.json()["code"]) == (409, "upload_confirmed")
        assert put(upload, second).status_code == 412
        assert confirm(client, upload).json() == track
        assert served(client, track["key"]) == first


def test_confirming_nothing_says_so(broker: Broker) -> None:
    with broker.client() as client:
        answer = confirm(client, create(client, mp3()))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_uploaded")


@pytest.mark.parametrize(
    ("content_type", "change", "code", "status"),
    [
        ("audio/mpeg", lambda b: b + b"x", "size_mismatch", 409),
        ("text/html", lambda b: b, "type_mismatch", 409),
        ("audio/mpeg", lambda b: b[::-1], "content_mismatch", 422),
    ],
)
def test_confirming_what_was_not_promised_says_what_differs(
    broker: Broker, store: SeaweedFS, content_type: str, change: Any, code: str, status: int
) -> None:
    """Somebody with the store's own credentials puts something else there."""
    client_of_store = admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))
    with broker.client() as client:
        upload = create(client, mp3())
        key = urlsplit(upload["url"]).path.removeprefix(f"/{BUCKET}/")
        client_of_store.put_object(Bucket=BUCKET, Key=key, Body=change(mp3()), ContentType=content_type)
        answer = confirm(client, upload)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert client.get(f"/objects/{key.replace('incoming', 'media')}").status_code == 404


def test_an_object_with_another_md5_than_promised_is_not_confirmed(broker: Broker, store: SeaweedFS) -> None:
    client_of_store = admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))
    with broker.client() as client:
        upload = create(client, mp3(), md5="00" * 16)
        key = urlsplit(upload["url"]).path.removeprefix(f"/{BUCKET}/")
        client_of_store.put_object(Bucket=BUCKET, Key=key, Body=mp3(), ContentType="audio/mpeg")
        assert confirm(client, upload).json()["code"] == "checksum_mismatch"


@pytest.mark.parametrize("method_and_path", ["GET ", "DELETE ", "POST /confirm"])
def test_anothers_upload_answers_exactly_as_an_unknown_one(broker: Broker, method_and_path: str) -> None:
    """P01."""
    method, path = method_and_path.split(" ")
    with broker.client("user-1") as owner, broker.client("user-2") as other:
        mine = uploaded(owner, mp3())["uploadId"]
        unknown = mine[:-2] + ("AA" if mine[-2:] != "AA" else "BB")
        answers = [other.request(method, f"/uploads/{upload_id}{path}") for upload_id in (mine, unknown, "x")]
        assert without_request_id(answers[0]) == without_request_id(answers[1]) == without_request_id(answers[2])
        assert answers[0].status_code == 404
        assert owner.get(f"/uploads/{mine}").json()["status"] == "uploaded"


def test_a_service_confirms_and_deletes_for_everybody(broker: Broker) -> None:
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


def test_an_owner_deletes_an_object_and_no_confirm_brings_it_back(broker: Broker) -> None:
    with broker.client("user-1") as owner, broker.client("user-2") as other:
        upload = uploaded(owner, mp3())
        key = confirm(owner, upload).json()["key"]
        assert other.delete(f"/objects/{key}").status_code == 404
        assert other.get(f"/objects/{key}").status_code == 404
        assert owner.head(f"/objects/{key}").status_code == 200
        assert [owner.delete(f"/objects/{key}").status_code for _ in range(2)] == [204, 404]
        assert confirm(owner, upload).json()["code"] == "upload_deleted"


def test_the_status_follows_the_upload(broker: Broker) -> None:
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


def test_fifty_confirms_at_once_give_one_answer(broker: Broker) -> None:
    with broker.client() as client:
        upload = uploaded(client, mp3())
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: confirm(client, upload), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_a_create_retried_with_one_idempotency_key_names_one_object(broker: Broker) -> None:
    headers = {"Idempotency-Key": "retry-1"}
    with broker.client() as client:
        first, second = (create(client, mp3(), headers=headers) for _ in range(2))
        assert put(first, mp3()).status_code == 200
        assert put(second, mp3()).status_code == 412
        tracks = [confirm(client, upload).json() for upload in (first, second)]
        assert tracks[0] == tracks[1]
        assert create(client, mp3() + b"x", headers=headers)["url"] != first["url"]


def test_a_batch_is_created_confirmed_and_linked_in_order(broker: Broker) -> None:
    kinds = ["audio/wav", "image/webp", "audio/flac"]
    with broker.client() as client:
        files = [{"filename": k, "contentType": k, "size": len(SAMPLES[k]())} for k in kinds]
        uploads = client.post("/uploads", json={"files": files}).json()["uploads"]
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


def test_a_download_may_be_saved_under_a_name_or_followed_at_once(broker: Broker) -> None:
    with broker.client() as client:
        key = ready(client, mp3())["key"]
        named = client.get(f"/downloads/{key}", params={"filename": 'sö"ng.mp3'}).json()["url"]
        disposition = fetch(named).headers["content-disposition"]
        assert disposition == "attachment; filename=\"s__ng.mp3\"; filename*=UTF-8''s%C3%B6%22ng.mp3"
        redirect = client.get(f"/downloads/{key}", params={"redirect": "1"})
        assert redirect.status_code == 307
        assert digest(fetch(redirect.headers["location"]).content) == digest(mp3())


def test_links_asked_for_in_one_window_are_the_same(broker: Broker) -> None:
    with broker.client("user-1") as one, broker.client("user-2") as two:
        key = ready(one, mp3())["key"]
        links = {client.get(f"/downloads/{key}").text for client in (one, two, one)}
    assert len(links) <= 2  # two, should the window turn just now


def test_a_key_is_found_in_the_urls_of_this_deployment_alone(broker: Broker) -> None:
    with broker.client() as client:
        key = ready(client, mp3())["key"]
        link = client.get(f"/downloads/{key}").json()["url"]
        assert client.get("/keys", params={"url": link}).json() == {"key": key}
        assert client.get("/keys", params={"url": f"https://evil.example/{key}"}).status_code == 404


def test_the_receipt_verifies_as_the_readme_says(broker: Broker) -> None:
    snippet = API_PAGE.split("<!-- test: receipt -->\n```python\n")[1].split("```")[0]
    with broker.client() as client:
        answer = ready(client, mp3())
    names: dict[str, Any] = {"BROKER": broker.url, "receipt": answer["receipt"]}
    exec(snippet, names)
    assert len([line for line in snippet.splitlines() if line]) == 5
    assert names["track"]["key"] == answer["key"]
    with pytest.raises(jwt.InvalidSignatureError):
        exec(snippet, {**names, "receipt": answer["receipt"][:-4] + "AAAA"})
