"""Multipart uploads with a real store and a real broker process: repaired, resumed, aborted and confirmed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin

from .conftest import BUCKET
from .parts import CONTENT, PART, create_multipart, key_of, part_of, put_part, send, signed, status_of, store_id_of
from .processes import Broker
from .steps import confirm, create, digest, put, served

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def client(broker: Broker) -> Iterator[httpx2.Client]:
    """Return the client of a user."""
    with broker.client() as client:
        yield client


@pytest.fixture(scope="module")
def s3(store: SeaweedFS) -> "S3Client":
    """Return the operator's client of the store."""
    return admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))


def put_unsigned_part(s3: "S3Client", client: httpx2.Client, upload: dict[str, Any], number: int) -> None:
    """Send a part of 35 bytes with the store's own credentials."""
    key, upload_id = key_of(client, upload), store_id_of(client, upload)
    s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=number, Body=bytes(35))


def open_uploads(s3: "S3Client") -> list[str]:
    """Return the keys with an unfinished multipart upload."""
    return [upload["Key"] for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def problem(response: httpx2.Response) -> tuple[int, str, list[str]]:
    """Return status, code and pointers of a refusal."""
    document = response.json()
    return response.status_code, document["code"], [error["pointer"] for error in document.get("errors", [])]


def test_create_returns_the_part_plan(client: httpx2.Client) -> None:
    """Creating a multipart upload returns part size, number of parts and concurrency."""
    upload = create_multipart(client)

    assert {name: value for name, value in upload.items() if name not in ("uploadId", "expiresAt")} == {
        "method": "MULTIPART",
        "size": len(CONTENT),
        "partSize": PART,
        "partCount": 3,
        "maxConcurrency": 4,
    }


def test_parts_in_any_order_become_one_object(client: httpx2.Client) -> None:
    """Parts in any order become one object; the status reports the parts until then."""
    upload = create_multipart(client)
    assert status_of(client, upload)["status"] == "pending"

    send(client, upload, 3, 1)
    half = status_of(client, upload)
    assert (half["status"], half["uploadedBytes"], half["partSize"]) == ("uploading", PART + 12_345, PART)
    assert [(part["partNumber"], part["size"]) for part in half["parts"]] == [(1, PART), (3, 12_345)]

    send(client, upload, 2)
    first, again = confirm(client, upload), confirm(client, upload)
    assert first.status_code == 200, first.text
    assert first.json() == again.json()
    assert first.json()["etag"].endswith("-3")
    assert digest(served(client, first.json()["key"])) == digest(CONTENT)

    done = status_of(client, upload)
    assert (done["status"], done["uploadedBytes"], done["key"]) == ("ready", len(CONTENT), first.json()["key"])
    assert "parts" not in done


def test_large_file_is_multipart_by_default(client: httpx2.Client) -> None:
    """A file over the threshold is a multipart upload, unless the request asks for one PUT or has a checksum."""
    declared = {"filename": "a.wav", "contentType": "audio/wav", "size": 16 * 2**20 + 1}

    assert client.post("/uploads", json={**declared, "size": 16 * 2**20}).json()["method"] == "PUT"
    assert client.post("/uploads", json=declared).json()["method"] == "MULTIPART"
    assert client.post("/uploads", json={**declared, "multipart": False}).json()["method"] == "PUT"
    assert client.post("/uploads", json={**declared, "sha256": "00" * 32}).json()["method"] == "PUT"


def test_range_of_parts_is_signed(client: httpx2.Client) -> None:
    """A request for a range of parts returns a URL for each with its exact size."""
    upload = create_multipart(client)

    response = client.post(f"/uploads/{upload['uploadId']}/parts", json={"from": 1, "to": 3})

    assert response.headers["cache-control"] == "no-store"
    assert [(part["partNumber"], part["size"], part["headers"]) for part in response.json()["parts"]] == [
        (1, PART, {}),
        (2, PART, {}),
        (3, 12_345, {}),
    ]
    assert response.json()["expiresAt"] < upload["expiresAt"]


@pytest.mark.parametrize(
    "requested",
    [
        {"partNumbers": [0]},
        {"partNumbers": [1, 4]},
        {"partNumbers": [-1]},
        {"partNumbers": []},
        {"partNumbers": [1] * 1001},
        {"from": 1, "to": 4},
        {"from": 0, "to": 3},
        {"from": 3, "to": 2},
        {"from": 1, "to": 1001},
        {"from": 1},
        {"to": 1},
        {"partNumbers": [1], "from": 1, "to": 1},
    ],
)
def test_invalid_part_numbers_are_refused(client: httpx2.Client, requested: dict[str, Any]) -> None:
    """Part numbers outside of the plan, and contradicting or empty requests, are refused."""
    upload = create_multipart(client)

    response = client.post(f"/uploads/{upload['uploadId']}/parts", json=requested)

    assert response.status_code == 422, response.text
    assert "url" not in response.text


def test_single_put_has_no_parts(client: httpx2.Client) -> None:
    """A request for parts of an upload by one PUT is refused."""
    upload = create(client, CONTENT, multipart=False)

    assert problem(client.post(f"/uploads/{upload['uploadId']}/parts", json={"partNumbers": [1]}))[:2] == (
        422,
        "invalid_request",
    )


def test_confirm_names_missing_parts(client: httpx2.Client) -> None:
    """A confirm names the missing parts, which the client can then send."""
    upload = create_multipart(client)

    assert problem(confirm(client, upload)) == (409, "parts_missing", ["/parts/1", "/parts/2", "/parts/3"])
    send(client, upload, 2)
    refusal = confirm(client, upload)
    assert problem(refusal) == (409, "parts_missing", ["/parts/1", "/parts/3"])
    assert refusal.json()["detail"] == "These of 3 parts are missing: 1, 3. Send them, then confirm."
    send(client, upload, 1, 3)
    assert confirm(client, upload).status_code == 200


def test_part_of_wrong_size_is_refused(client: httpx2.Client, s3: "S3Client") -> None:
    """The store refuses a part of another size, and so does the confirm if the store contains one."""
    upload = create_multipart(client)
    (part,) = signed(client, upload, 2)
    assert put_part(part, part_of(upload, 2) + b"x").status_code == 403
    assert put_part(part, part_of(upload, 2)[:-1]).status_code == 403
    send(client, upload, 1, 3)
    put_unsigned_part(s3, client, upload, 2)

    refusal = confirm(client, upload)
    assert problem(refusal) == (409, "size_mismatch", ["/parts/2"])
    assert refusal.json()["errors"][0]["detail"] == f"must have {PART} bytes, not 35"
    send(client, upload, 2)
    assert confirm(client, upload).status_code == 200


def test_confirm_names_unplanned_part(client: httpx2.Client, s3: "S3Client") -> None:
    """A confirm names a part with a number outside of the plan."""
    upload = create_multipart(client)
    send(client, upload, 1, 2, 3)
    put_unsigned_part(s3, client, upload, 4)

    assert problem(confirm(client, upload)) == (409, "size_mismatch", ["/parts/4"])


def test_part_can_be_repeated_until_confirm(client: httpx2.Client) -> None:
    """A part can be sent again until the confirm, and not afterwards."""
    upload = create_multipart(client)
    send(client, upload, 1, 2, 3)
    (part,) = signed(client, upload, 2)
    assert put_part(part, bytes(PART)).status_code == 200
    assert status_of(client, upload)["uploadedBytes"] == len(CONTENT)

    key = confirm(client, upload).json()["key"]

    found = served(client, key)
    assert found in (CONTENT, CONTENT[:PART] + bytes(PART) + CONTENT[2 * PART :])
    assert put_part(part, part_of(upload, 2)).status_code == 404
    assert served(client, key) == found


def test_content_of_wrong_type_is_refused(client: httpx2.Client) -> None:
    """A complete upload whose first bytes are not of its type is refused."""
    upload = create_multipart(client)
    send(client, upload, 2, 3)
    (part,) = signed(client, upload, 1)
    assert put_part(part, bytes(PART)).status_code == 200

    assert problem(confirm(client, upload))[:2] == (422, "content_mismatch")


def test_abort_leaves_only_a_tombstone(client: httpx2.Client, s3: "S3Client") -> None:
    """An aborted upload leaves a tombstone and no parts."""
    upload = create_multipart(client)
    send(client, upload, 1)
    key = key_of(client, upload)
    assert key in open_uploads(s3)

    for _ in range(2):
        assert client.delete(f"/uploads/{upload['uploadId']}").status_code == 204

    assert key not in open_uploads(s3)
    assert [found["Size"] for found in s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]] == [0]
    assert status_of(client, upload)["status"] == "deleted"
    assert problem(confirm(client, upload))[:2] == (410, "upload_deleted")


def test_retried_create_continues_the_upload(client: httpx2.Client, s3: "S3Client") -> None:
    """A create that is retried with its Idempotency-Key continues the multipart upload."""
    retried = {"headers": {"Idempotency-Key": "the-same-upload"}}
    first = create_multipart(client, **retried)
    send(client, first, 1, 2)
    again = create_multipart(client, **retried)

    assert store_id_of(client, again) == store_id_of(client, first)
    assert open_uploads(s3).count(key_of(client, first)) == 1
    send(client, again, 3)
    assert confirm(client, again).json()["key"] == confirm(client, first).json()["key"]


def test_foreign_upload_is_not_found(broker: Broker, client: httpx2.Client) -> None:
    """P25: Another user's upload is not found by any call, and stays unchanged."""
    upload = create_multipart(client)
    path = f"/uploads/{upload['uploadId']}"
    with broker.client("user-2") as other:
        responses = [
            other.post(f"{path}/parts", json={"partNumbers": [1]}),
            other.get(path),
            other.post(f"{path}/confirm"),
            other.delete(path),
        ]
    assert [problem(response)[:2] for response in responses] == [(404, "not_found")] * 4
    assert status_of(client, upload)["status"] == "pending"


def test_concurrent_confirms_agree(client: httpx2.Client) -> None:
    """Sixteen concurrent confirms of a multipart upload return the same response."""
    upload = create_multipart(client)
    send(client, upload, 1, 2, 3)

    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda _: confirm(client, upload), range(16)))

    assert {response.text for response in responses} == {responses[0].text}
    assert responses[0].status_code == 200


def test_another_broker_continues_after_a_kill(tmp_path: Path, environment: dict[str, str]) -> None:
    """A multipart upload continues with another broker process after the first is killed."""
    with Broker(tmp_path, environment) as first, first.client() as client:
        upload = create_multipart(client)
        send(client, upload, 1)
        first.kill()
    with Broker(tmp_path, environment) as second, second.client() as client:
        assert status_of(client, upload)["uploadedBytes"] == PART
        send(client, upload, 2, 3)
        assert confirm(client, upload).status_code == 200


def test_large_single_put_is_accepted(client: httpx2.Client) -> None:
    """A file that is larger than a part can be sent by one PUT."""
    upload = create(client, CONTENT, multipart=False)
    assert put(upload, CONTENT).status_code == 200
    assert confirm(client, upload).status_code == 200
