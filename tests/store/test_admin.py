"""The administration of buckets: rules as data, and a real store that keeps them."""

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec
from broker.crypto.sigv4 import Credentials
from broker.service.uploads import upload_headers
from broker.store import admin, bucket_rules
from tests.stores.place import Place, send

ORIGINS = ["https://app.example", "http://localhost:3000"]


def test_the_cors_rule_allows_the_upload_headers() -> None:
    """The CORS rule allows exactly the headers that an upload may sign."""
    rule = bucket_rules.cors_rule(ORIGINS)
    signed = upload_headers(FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 1, sha256=bytes(32), md5=bytes(16)))

    assert rule == {
        "AllowedOrigins": ORIGINS,
        "AllowedMethods": ["GET", "PUT", "HEAD"],
        "AllowedHeaders": ["content-type", "content-md5", "if-none-match", "x-amz-checksum-sha256"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }
    assert {name.lower() for name in signed} == set(bucket_rules.UPLOAD_HEADERS)


def test_the_lifecycle_removes_unfinished_uploads() -> None:
    """The rules remove staged objects under the prefix, and unfinished multipart uploads in the whole bucket."""
    staged, unfinished = bucket_rules.lifecycle_rules("incoming/", 2)

    assert (staged["Filter"], staged["Expiration"]) == ({"Prefix": "incoming/"}, {"Days": 2})
    assert unfinished["Filter"] == {"Prefix": ""}
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert {staged["Status"], unfinished["Status"]} == {"Enabled"}


@pytest.fixture
def client(seaweedfs: Place) -> Any:
    """Return a client of a real store."""
    return admin.connect(seaweedfs.endpoint, seaweedfs.credentials)


@pytest.fixture
def bucket(client: Any) -> Iterator[str]:
    """Create a bucket for one test."""
    name = f"admin-{uuid4()}"
    admin.ensure_bucket(client, name)
    yield name
    client.delete_bucket(Bucket=name)


def test_a_bucket_is_created_once(client: Any, bucket: str) -> None:
    """To ensure a bucket twice creates it once."""
    client.put_object(Bucket=bucket, Key="kept", Body=b"1")

    admin.ensure_bucket(client, bucket)

    assert client.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"1"
    client.delete_object(Bucket=bucket, Key="kept")


@pytest.mark.parametrize(
    ("endpoint", "url", "location"),
    [
        ("https://s3.eu-central-1.amazonaws.com", "https://songs.s3.eu-central-1.amazonaws.com/", b"eu-central-1"),
        ("https://s3.us-east-1.amazonaws.com", "https://songs.s3.us-east-1.amazonaws.com/", None),
        ("https://s3.amazonaws.com", "https://songs.s3.amazonaws.com/", None),
        (f"https://{'a' * 32}.r2.cloudflarestorage.com", f"https://{'a' * 32}.r2.cloudflarestorage.com/songs", None),
        ("http://127.0.0.1:8333", "http://127.0.0.1:8333/songs", None),
    ],
)
def test_the_store_decides_the_location(endpoint: str, url: str, location: bytes | None) -> None:
    """A bucket is created in the region of the endpoint, which only Amazon S3 wants to be named."""
    client: Any = admin.connect(endpoint, Credentials("AKID", "secret"))
    sent: list[AWSPreparedRequest] = []

    def respond(request: AWSPreparedRequest, **_event: object) -> AWSResponse:
        sent.append(request)
        status = 404 if request.method == "HEAD" else 200
        return AWSResponse(request.url, status, HTTPHeaders(), mock.Mock(stream=lambda: [b""]))

    client.meta.events.register("before-send.s3", respond)
    admin.ensure_bucket(client, "songs")

    assert [(request.method, request.url) for request in sent] == [("HEAD", url), ("PUT", url)]
    body: Any = sent[1].body or b""
    assert re.findall(b"<LocationConstraint>(.*?)<", body) == ([location] if location else [])


def test_a_forbidden_bucket_is_not_created(seaweedfs: Place) -> None:
    """A bucket that must not be read is not regarded as missing."""
    stranger = admin.connect(seaweedfs.endpoint, Credentials("AKIDOFTHETESTS", "another secret"))

    with pytest.raises(ClientError) as caught:
        admin.ensure_bucket(stranger, seaweedfs.bucket)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_store_keeps_the_rules(client: Any, bucket: str) -> None:
    """A real store returns the rules that were put."""
    admin.put_cors(client, bucket, ORIGINS)
    admin.put_lifecycle(client, bucket, "incoming/", 2)

    assert client.get_bucket_cors(Bucket=bucket)["CORSRules"] == [bucket_rules.cors_rule(ORIGINS)]
    rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rules == bucket_rules.lifecycle_rules("incoming/", 2)


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGINS[0], ORIGINS[0]), ("https://evil.example", None)])
def test_only_the_origins_may_upload(
    client: Any, bucket: str, seaweedfs: Place, origin: str, allowed: str | None
) -> None:
    """A preflight request succeeds from the allowed origins only."""
    admin.put_cors(client, bucket, ORIGINS)
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": ",".join(sorted(bucket_rules.UPLOAD_HEADERS)),
    }

    reply = send("OPTIONS", f"{seaweedfs.endpoint}/{bucket}/incoming/a.mp3?x=1", asked)

    assert reply.headers.get("access-control-allow-origin") == allowed


def test_without_rules_no_origin_may_upload(bucket: str, seaweedfs: Place) -> None:
    """Without CORS rules a preflight request fails from every origin."""
    asked = {"Origin": ORIGINS[0], "Access-Control-Request-Method": "PUT"}

    reply = send("OPTIONS", f"{seaweedfs.endpoint}/{bucket}/incoming/a.mp3?x=1", asked)

    assert reply.headers.get("access-control-allow-origin") is None


@pytest.mark.parametrize("operation", ["PutBucketCors", "PutBucketLifecycleConfiguration"])
def test_rules_are_sent_with_content_md5(client: Any, bucket: str, operation: str) -> None:
    """Rules are sent with Content-MD5 and without the checksum headers that R2 does not implement."""
    sent: list[AWSPreparedRequest] = []

    def see(request: AWSPreparedRequest, **_event: object) -> None:
        sent.append(request)

    client.meta.events.register(f"before-send.s3.{operation}", see)
    admin.put_cors(client, bucket, ORIGINS)
    admin.put_lifecycle(client, bucket, "incoming/", 2)

    (request,) = sent
    headers = {name.lower(): value for name, value in request.headers.items()}
    body: Any = request.body
    assert not [name for name in headers if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum"))]
    assert as_text(headers["content-md5"]) == base64.b64encode(hashlib.md5(body).digest()).decode()
    assert "/auto/s3/aws4_request" in as_text(headers["authorization"])
    assert "content-md5" in as_text(headers["authorization"])
    assert request.url.split("?")[0].endswith(f"/{bucket}")


def as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
