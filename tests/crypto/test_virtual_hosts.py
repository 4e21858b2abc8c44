"""Virtual-hosted URLs, and the endpoints of Amazon S3, compared with botocore under one frozen clock."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.crypto.virtual_hosts import VirtualHostPresigner
from broker.store.dialect import dialect_of

from .signed_requests import KEY_ID, NOW, REF, REQUESTS, SECRET, TEXT, Request, frozen, parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CREDENTIALS = Credentials(KEY_ID, SECRET)
HOSTED = REQUESTS.filter(lambda request: "[" not in request.endpoint)  # an address has no hosts below it
BUCKETS = st.from_regex(r"\A[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\Z")


def virtual(request: Request) -> VirtualHostPresigner:
    """Return a presigner for the request's endpoint."""
    credentials = Credentials(request.key_id, request.secret, request.token)
    return VirtualHostPresigner(credentials, request.endpoint, region=request.region)


def at_its_host(request: Request) -> Request:
    """Return the request as botocore's signer reads it: the host names the bucket, the path does not."""
    scheme, _, host = request.endpoint.partition("://")
    return replace(request, endpoint=f"{scheme}://{request.ref.bucket}.{host}", ref=ObjectRef("", request.ref.key))


@settings(deadline=None, max_examples=50)
@given(HOSTED, BUCKETS, TEXT)
def test_botocores_signer_signs_the_same_host(request: Request, bucket: str, key: str) -> None:
    """The signer of botocore makes the same virtual-hosted URL of any request."""
    request = replace(request, ref=ObjectRef(bucket, key))
    assert parts(request.presign(virtual(request))) == parts(at_its_host(request).presign_by_botocore())


@settings(deadline=None, max_examples=25)
@given(HOSTED, BUCKETS, st.lists(TEXT, max_size=3))
def test_each_equals_one_by_one(request: Request, bucket: str, values: list[str]) -> None:
    """URLs of a host that differ in one parameter are the same, signed together or one by one."""
    request = replace(request, ref=ObjectRef(bucket, request.ref.key))
    presigner = virtual(request)
    one_by_one = [replace(request, query={**request.query, "n": value}).presign(presigner) for value in values]
    together = presigner.presign_each(
        request.method,
        request.ref,
        "n",
        values,
        now=request.now,
        expires_in=request.expires_in,
        headers=request.headers,
        query=request.query,
    )
    assert together == one_by_one


@pytest.mark.parametrize(
    ("bucket", "key", "path"), [("songs", "a/b.mp3", "/a/b.mp3"), ("songs", "", "/"), ("songs", "/a", "//a")]
)
def test_the_host_names_the_bucket(bucket: str, key: str, path: str) -> None:
    """The bucket is in the host, and the path is the key alone."""
    presigner = VirtualHostPresigner(CREDENTIALS, "https://s3.example:8443")
    url = urlsplit(presigner.presign("GET", ObjectRef(bucket, key), now=NOW, expires_in=60))
    assert (url.netloc, url.path) == (f"{bucket}.s3.example:8443", path)
    assert presigner.endpoint_of(bucket) == f"https://{bucket}.s3.example:8443"
    assert presigner.endpoint == "https://s3.example:8443"


def test_a_path_style_endpoint_is_one() -> None:
    """All buckets have the endpoint of a path-style store."""
    presigner = Presigner(CREDENTIALS, "https://r2.example")
    assert {presigner.endpoint_of(bucket) for bucket in ("songs", "inbox")} == {"https://r2.example"}


REGIONS = [
    ("us-east-1", "https://s3.amazonaws.com", {}),
    ("us-east-2", "https://s3.us-east-2.amazonaws.com", {}),
    ("eu-central-1", "https://s3.eu-central-1.amazonaws.com", {}),
    ("ap-southeast-2", "https://s3.dualstack.ap-southeast-2.amazonaws.com", {"use_dualstack_endpoint": True}),
    ("us-gov-west-1", "https://s3-fips.us-gov-west-1.amazonaws.com", {"use_fips_endpoint": True}),
    (
        "us-east-2",
        "https://s3-fips.dualstack.us-east-2.amazonaws.com",
        {"use_fips_endpoint": True, "use_dualstack_endpoint": True},
    ),
    ("cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn", {}),
]
"""A region, the endpoint that an operator sets, and the options by which botocore finds the same endpoint itself."""


def boto3_client(region: str, style: str, options: dict[str, Any]) -> "S3Client":
    """Return a client without an endpoint of its own."""
    options = {**options, "s3": {"addressing_style": style}}
    config = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **options,
    )
    return boto3.client("s3", region_name=region, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, config=config)


@pytest.mark.parametrize(("region", "endpoint", "options"), REGIONS, ids=[endpoint for _, endpoint, _ in REGIONS])
@pytest.mark.parametrize("style", ["virtual", "path"])
def test_botocore_finds_the_same_urls(region: str, endpoint: str, options: dict[str, Any], style: str) -> None:
    """botocore, given only a region, makes the URLs that a presigner makes of the endpoint of Amazon S3."""
    dialect = dialect_of(endpoint)
    presigner = dialect.presigner(CREDENTIALS, endpoint)
    if style == "path":
        presigner = Presigner(CREDENTIALS, endpoint, region=dialect.region)
    client = boto3_client(region, style, options)
    place = {"Bucket": REF.bucket, "Key": REF.key}
    part = {"partNumber": "7", "uploadId": "an id"}
    headers = {"Content-Length": "3", "Content-Type": "audio/mpeg", "If-None-Match": "*"}
    signed = {"ContentLength": 3, "ContentType": "audio/mpeg", "IfNoneMatch": "*"}
    with frozen(NOW):
        theirs = [
            client.generate_presigned_url("get_object", Params=place, ExpiresIn=900),
            client.generate_presigned_url("put_object", Params={**place, **signed}, ExpiresIn=900),
            client.generate_presigned_url(
                "upload_part", Params={**place, "PartNumber": 7, "UploadId": "an id"}, ExpiresIn=900
            ),
        ]
    ours = [
        presigner.presign("GET", REF, now=NOW, expires_in=900),
        presigner.presign("PUT", REF, now=NOW, expires_in=900, headers=headers),
        presigner.presign("PUT", REF, now=NOW, expires_in=900, query=part),
    ]
    assert [parts(url) for url in ours] == [parts(url) for url in theirs]
