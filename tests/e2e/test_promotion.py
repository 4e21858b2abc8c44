"""An object that is too large for one copy: promoted in ranges by several processes, one of which is killed."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.testclient import TestClient

from broker import settings
from broker.cli.seaweedfs import SeaweedFS
from broker.core.limits import GIB, MIB, PUT_MAX
from broker.core.parts import plan
from broker.crypto.sigv4 import Credentials
from broker.service import promotion
from broker.service.assembly import assemble
from broker.store import admin
from broker.web.app import create_app
from tests.plain_http import NO_TLS

from .conftest import BUCKET
from .parts import put_part
from .processes import JWT_SECRET, Broker, token
from .steps import MP3, mp3
from .stores import settings_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIZE = 5 * GIB + 512 * MIB
BEGINNING = mp3()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Start a store for this module, because its objects are large."""
    with SeaweedFS(tmp_path_factory.mktemp("large"), "AKLARGE", "a secret access key for large objects") as store:
        admin.ensure_bucket(connect(store), BUCKET)
        yield store


def connect(store: SeaweedFS) -> "S3Client":
    """Return the operator's client."""
    return admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))


def content(upload: dict[str, Any], number: int) -> bytes:
    """Return a part of a file of zeros. The first starts as an MP3 does, and each other one with its number."""
    size = min(upload["partSize"], SIZE - (number - 1) * upload["partSize"])
    head = BEGINNING if number == 1 else b"part %d" % number
    return head + bytes(size - len(head))


def send_all(client: httpx2.Client, upload: dict[str, Any]) -> str:
    """Send every part, three at a time; return the SHA-256 of the file."""
    response = client.post(f"uploads/{upload['uploadId']}/parts", json={"from": 1, "to": upload["partCount"]})

    def send(part: dict[str, Any]) -> int:
        return put_part(part, content(upload, part["partNumber"])).status_code

    with ThreadPoolExecutor(upload["maxConcurrency"]) as pool:
        assert set(pool.map(send, response.json()["parts"])) == {200}
    digest = hashlib.sha256()
    for number in range(1, upload["partCount"] + 1):
        digest.update(content(upload, number))
    return digest.hexdigest()


def ranges_copied(s3: "S3Client") -> int:
    """Return the number of ranges that the current promotion has copied."""
    for upload in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="media/").get("Uploads", []):
        parts = s3.list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts", [])
        return len({part["PartNumber"] for part in parts})
    return 0


def served_digest(client: httpx2.Client, key: str) -> str:
    """Return the SHA-256 of the bytes that a download link serves."""
    link = client.get(f"downloads/{key}").json()["url"]
    digest = hashlib.sha256()
    with httpx2.stream("GET", link, timeout=60, trust_env=False, verify=NO_TLS) as response:
        for chunk in response.iter_bytes(MIB):
            digest.update(chunk)
    return digest.hexdigest()


def environment_of(place: SeaweedFS) -> dict[str, str]:
    """Return the settings of a broker that accepts such files."""
    return {**settings_of(place, BUCKET), "UPLOAD_MAX_BYTES": "6GiB"}


def until_ready(client: httpx2.Client, confirm: str) -> dict[str, Any]:
    """Confirm until the promotion ends; return the document."""
    while (response := client.post(confirm)).status_code == 202:
        pass
    return dict(response.json())


@pytest.mark.large
@pytest.mark.timeout(900)
def test_interrupted_promotion_is_continued(tmp_path: Path, place: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promotion of over 5 GiB that a kill interrupts is finished by the next confirms of other processes."""
    environment = environment_of(place)
    s3 = connect(place)
    assert SIZE > PUT_MAX
    with Broker(tmp_path, environment) as first, first.client() as client, ThreadPoolExecutor(1) as pool:
        upload = client.post("/uploads", json={"filename": "set.mp3", "contentType": MP3, "size": SIZE}).json()
        digest = send_all(client, upload)
        confirm = f"/uploads/{upload['uploadId']}/confirm"
        cut_off = pool.submit(client.post, confirm, timeout=60)
        while not (copied := ranges_copied(s3)):
            assert not cut_off.done(), cut_off.result().text
        first.kill()
        with pytest.raises(httpx2.TransportError):
            cut_off.result()

    monkeypatch.setattr(promotion, "DEADLINE", 0)
    app = create_app(assemble(settings.parse({**environment, "JWT_SECRET": JWT_SECRET})))
    with TestClient(app, headers={"Authorization": f"Bearer {token()}"}) as client_of_second:
        responses = [client_of_second.post(f"/api/v1{confirm}") for _ in range(2)]
    assert [(response.status_code, response.headers["retry-after"]) for response in responses] == [(202, "1")] * 2
    promoted = [response.json()["promotedBytes"] for response in responses]
    assert (copied + promotion.CONCURRENT_RANGES_PER_OBJECT) * promotion.RANGE <= promoted[0] < promoted[1] < SIZE
    assert responses[1].json() == {
        "uploadId": upload["uploadId"], "status": "promoting", "size": SIZE, "promotedBytes": promoted[1]
    }  # fmt: skip  # the whole document on one line

    with Broker(tmp_path, environment) as third, third.client() as client:
        assert client.get(f"/uploads/{upload['uploadId']}").json()["status"] == "uploaded"
        track = until_ready(client, confirm)
        assert (track["status"], track["size"]) == ("ready", SIZE)
        assert track["etag"].endswith(f"-{plan(SIZE, promotion.RANGE).count}")
        assert client.post(confirm).json() == track
        assert served_digest(client, track["key"]) == digest
    assert ranges_copied(s3) == 0


def replace_staged(s3: "S3Client", key: str) -> None:
    """Replace the staged object by one that differs in its second gigabyte."""
    upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key=key, ContentType=MP3)["UploadId"]
    parts: list[Any] = []
    for number, first in enumerate(range(0, SIZE, GIB), 1):
        source: Any = {"Bucket": BUCKET, "Key": key}
        last = min(first + GIB, SIZE) - 1
        named: dict[str, Any] = {"Bucket": BUCKET, "Key": key, "UploadId": upload_id, "PartNumber": number}
        if number == 2:
            etag = s3.upload_part(**named, Body=b"v" * GIB)["ETag"]
        else:
            copied = s3.upload_part_copy(**named, CopySource=source, CopySourceRange=f"bytes={first}-{last}")
            etag = copied["CopyPartResult"]["ETag"]
        parts.append({"ETag": etag, "PartNumber": number})
    s3.complete_multipart_upload(
        Bucket=BUCKET,
        Key=key,
        UploadId=upload_id,
        MultipartUpload={"Parts": parts},
    )


def staged_digest(s3: "S3Client", key: str) -> str:
    """Return the SHA-256 of the staged object."""
    digest = hashlib.sha256()
    for chunk in s3.get_object(Bucket=BUCKET, Key=key)["Body"].iter_chunks(MIB):
        digest.update(chunk)
    return digest.hexdigest()


@pytest.mark.large
@pytest.mark.timeout(900)
def test_seq04_large_promotion_has_one_version(
    tmp_path: Path, place: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEQ04: A staged object of over 5 GiB that is replaced during its promotion is served whole."""
    s3 = connect(place)
    app = create_app(assemble(settings.parse({**environment_of(place), "JWT_SECRET": JWT_SECRET})))
    headers = {"Authorization": f"Bearer {token('user-large', exp=int(time.time()) + 3600)}"}
    with TestClient(app, base_url="http://broker/api/v1/", headers=headers) as client:
        upload = client.post("uploads", json={"filename": "set.mp3", "contentType": MP3, "size": SIZE}).json()
        first_digest = send_all(client, upload)
        confirm = f"uploads/{upload['uploadId']}/confirm"
        with monkeypatch.context() as patched:
            patched.setattr(promotion, "DEADLINE", 0)
            assert client.post(confirm).status_code == 202
        (key,) = {found["Key"] for found in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="media/")["Uploads"]}
        staged = key.replace("media/", "incoming/")
        replace_staged(s3, staged)
        second_digest = staged_digest(s3, staged)
        track = until_ready(client, confirm)
        assert track["status"] == "ready"
        assert served_digest(client, track["key"]) == second_digest != first_digest
