"""Sequences that need another day, another secret or small limits: an application in this process, a real store."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import jwt
import pytest
from starlette.testclient import TestClient

from broker import settings
from broker.cli.seaweedfs import SeaweedFS
from broker.core.limits import MIB
from broker.crypto.sigv4 import Credentials
from broker.service import promotion
from broker.service.assembly import assemble
from broker.store import admin
from broker.web.app import create_app
from tests.plain_http import NO_TLS

from .conftest import BUCKET
from .parts import put_part
from .processes import JWT_SECRET, token
from .steps import MP3, confirm, create, mp3, put

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OLD = "the old secret of a deployment that rotates"
NEW = "the new secret of a deployment that rotates"
DAY = 86_400
RETRIED: dict[str, Any] = {"headers": {"Idempotency-Key": "over-time"}}


class Clock:
    """The broker's clock, which tests can advance; the store has the real time."""

    shift = 0.0

    def __call__(self) -> float:
        return time.time() + self.shift


@contextmanager
def application(environment: dict[str, str], clock: Clock, **changes: str) -> Iterator[httpx2.Client]:
    """Start an application with these settings; yield a client whose token is valid for a month."""
    app = create_app(assemble(settings.parse({**environment, "JWT_SECRET": JWT_SECRET, **changes}), clock=clock))
    headers = {"Authorization": f"Bearer {token('user-time', exp=int(time.time()) + 30 * DAY)}"}
    with TestClient(app, base_url="http://broker/api/v1/", headers=headers) as client:
        yield client


def path_of(upload: dict[str, Any]) -> str:
    """Return the URL without its query."""
    return str(upload["url"]).split("?")[0]


def test_seq02_idempotency_key_expires_after_a_day(environment: dict[str, str]) -> None:
    """SEQ02: An Idempotency-Key names a deleted upload for at most a day, then a new upload."""
    clock = Clock()
    with application(environment, clock) as client:
        first = create(client, mp3(), **RETRIED)
        assert put(first, mp3()).status_code == 200
        assert client.delete(f"objects/{confirm(client, first).json()['key']}").status_code == 204
        for hours in (1, 7 * 24):
            clock.shift = hours * 3600
            again = create(client, mp3(), **RETRIED)
            status = put(again, mp3()).status_code
            response = confirm(client, again)
            if path_of(again) == path_of(first):
                assert (hours, status, response.json()["code"]) == (1, 412, "upload_deleted")
            else:
                assert (status, response.status_code) == (200, 200)
        assert confirm(client, first).json()["code"] == "upload_deleted"


def test_seq10_secret_rotation_ends_nothing(environment: dict[str, str]) -> None:
    """SEQ10: Uploads, receipts and retries survive BROKER_SECRET=new,old."""
    clock = Clock()
    with application(environment, clock, BROKER_SECRET=OLD) as before:
        waiting = create(before, mp3(), **RETRIED)
        done = create(before, mp3())
        put(done, mp3())
        track = confirm(before, done).json()
    with application(environment, clock, BROKER_SECRET=f"{NEW},{OLD}") as after:
        assert path_of(create(after, mp3(), **RETRIED)) == path_of(waiting)
        put(waiting, mp3())
        later = confirm(after, waiting)
        assert later.status_code == 200
        keys = jwt.PyJWKSet.from_dict(after.get("http://broker/.well-known/jwks.json").json())
        for response in (track, later.json(), confirm(after, done).json()):
            key = keys[jwt.get_unverified_header(response["receipt"])["kid"]]
            claims = jwt.decode(response["receipt"], key, algorithms=["EdDSA"])
            assert (claims["key"], claims["etag"]) == (response["key"], response["etag"])


def test_seq10_derived_secret_is_warned_of(environment: dict[str, str]) -> None:
    """SEQ10: A derived secret causes a warning; a new R2 token then ends open uploads, as it says."""
    derived = {**environment, "BROKER_SECRET": ""}
    (warning,) = settings.parse({**derived, "JWT_SECRET": JWT_SECRET}).warnings
    assert "rolling the R2 token ends all open uploads" in warning
    with application(derived, Clock()) as before:
        upload = create(before, mp3())
    rolled = {**derived, "R2_SECRET_ACCESS_KEY": "the secret access key of another token"}
    with application(rolled, Clock()) as after:
        assert confirm(after, upload).status_code == 404


@pytest.fixture
def in_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promote objects over 6 MiB in ranges of 5 MiB, a few in each confirm."""
    monkeypatch.setattr(promotion, "COPY_MAX", 6 * MIB)
    monkeypatch.setattr(promotion, "RANGE", 5 * MIB)
    monkeypatch.setattr(promotion, "CONCURRENT_RANGES_PER_OBJECT", 1)
    monkeypatch.setattr(promotion, "DEADLINE", 0)


def content(seed: int) -> bytes:
    """Return 22 MiB that start as an MP3 does and depend on ``seed``."""
    return (mp3() + bytes([seed]) * (22 * MIB))[: 22 * MIB]


def half_promoted(client: httpx2.Client, body: bytes) -> dict[str, Any]:
    """Create a multipart upload, and start its promotion."""
    declared = {"filename": "set.mp3", "contentType": MP3, "size": len(body), "multipart": True}
    upload: dict[str, Any] = client.post("uploads", json=declared).json()
    numbers = {"from": 1, "to": upload["partCount"]}
    for part in client.post(f"uploads/{upload['uploadId']}/parts", json=numbers).json()["parts"]:
        first = (part["partNumber"] - 1) * upload["partSize"]
        assert put_part(part, body[first : first + part["size"]]).status_code == 200
    time.sleep(1.1)  # so that the store's clock shows another second than at the parts
    response = client.post(f"uploads/{upload['uploadId']}/confirm")
    assert (response.status_code, response.json()["status"]) == (202, "promoting")
    return upload


@pytest.fixture
def s3(store: SeaweedFS) -> "S3Client":
    """Return the operator's client."""
    return admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))


def newest_staged(s3: "S3Client", size: int) -> str:
    """Return the key of the newest staged object of this size."""
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="incoming/")["Contents"]
    found = [each for each in listed if each["Size"] == size]
    return str(max(found, key=lambda each: each["LastModified"])["Key"])


def until_ready(client: httpx2.Client, upload: dict[str, Any]) -> httpx2.Response:
    """Confirm until the promotion ends."""
    for _ in range(20):
        response = client.post(f"uploads/{upload['uploadId']}/confirm")
        if response.status_code != 202:
            return response
    pytest.fail("the promotion makes no progress")


@pytest.mark.usefixtures("in_ranges")
def test_seq04_promotion_has_one_version(environment: dict[str, str], s3: "S3Client") -> None:
    """SEQ04: A staged object that is replaced during its promotion is served whole."""
    with application(environment, Clock()) as client:
        upload = half_promoted(client, content(1))
        key = newest_staged(s3, len(content(1)))
        s3.put_object(Bucket=BUCKET, Key=key, Body=content(2), ContentType=MP3)
        response = until_ready(client, upload)
        assert response.status_code == 200
        link = client.get(f"downloads/{response.json()['key']}").json()["url"]
    assert httpx2.get(link, timeout=20, trust_env=False, verify=NO_TLS).content == content(2)


@pytest.mark.usefixtures("in_ranges")
def test_seq04_abort_ends_a_promotion(environment: dict[str, str], s3: "S3Client") -> None:
    """SEQ04, SEQ09: An abort during a promotion is final and leaves no multipart upload."""
    with application(environment, Clock()) as client:
        upload = half_promoted(client, content(3))
        key = newest_staged(s3, len(content(3))).replace("incoming/", "media/")
        assert client.delete(f"uploads/{upload['uploadId']}").status_code == 204
        assert until_ready(client, upload).json()["code"] == "upload_deleted"
        assert client.get(f"objects/{key}").status_code == 404
    assert s3.list_multipart_uploads(Bucket=BUCKET, Prefix=key).get("Uploads", []) == []


@pytest.mark.usefixtures("in_ranges")
def test_next_confirm_continues_the_promotion(environment: dict[str, str]) -> None:
    """A confirm continues a promotion and copies no range twice."""
    with application(environment, Clock()) as client:
        upload = half_promoted(client, content(4))
        second = client.post(f"uploads/{upload['uploadId']}/confirm").json()
        assert second["promotedBytes"] == 2 * 5 * MIB
        response = until_ready(client, upload)
        link = client.get(f"downloads/{response.json()['key']}").json()["url"]
    assert httpx2.get(link, timeout=20, trust_env=False, verify=NO_TLS).content == content(4)
