"""Administration of a bucket by boto3, for commands only: its creation, its CORS rules and its lifecycle rules.

Pure functions build the rules, other functions send them. A serving process never imports this module.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

from broker.crypto.sigv4 import Credentials

from .dialect import dialect_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleTypeDef

UPLOAD_HEADERS: Final = ("content-type", "content-md5", "if-none-match", "x-amz-checksum-sha256")
"""The headers that the URL of an upload may sign; R2 needs each of them by name."""

_CHECKSUM_HEADERS: Final = ("x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32")
_CONFIG: Final = Config(
    signature_version="s3v4",
    request_checksum_calculation="when_required",  # R2 refuses some checksums of "when_supported"
    response_checksum_validation="when_required",
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
)


def connect(endpoint: str, credentials: Credentials) -> "S3Client":
    """Return a boto3 client for the store at ``endpoint``, which signs with version 4."""
    dialect = dialect_of(endpoint)
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=dialect.region,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=_CONFIG.merge(Config(s3={"addressing_style": dialect.addressing.value})),
    )
    for operation in ("PutBucketCors", "PutBucketLifecycleConfiguration"):
        client.meta.events.register(f"before-sign.s3.{operation}", _send_md5_instead)
    return client


def ensure_bucket(client: "S3Client", bucket: str) -> None:
    """Create the bucket unless it exists."""
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        region = dialect_of(client.meta.endpoint_url).location_constraint
        location: Any = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region else {}
        client.create_bucket(Bucket=bucket, **location)


def put_cors(client: "S3Client", bucket: str, origins: Sequence[str]) -> None:
    """Allow pages of ``origins`` to upload to and read from the bucket; this replaces the bucket's rules."""
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [cors_rule(origins)]})


def put_lifecycle(client: "S3Client", bucket: str, prefix: str, days: int) -> None:
    """Let the bucket remove staged objects under ``prefix`` after ``days``; this replaces the bucket's rules."""
    rules = lifecycle_rules(prefix, days)
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def cors_rule(origins: Sequence[str]) -> "CORSRuleTypeDef":
    """Return the least rule by which a browser can upload and download."""
    return {
        "AllowedOrigins": list(origins),
        "AllowedMethods": ["GET", "PUT", "HEAD"],
        "AllowedHeaders": list(UPLOAD_HEADERS),
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }


def lifecycle_rules(prefix: str, days: int) -> "list[LifecycleRuleTypeDef]":
    """Return the rules that remove staged objects and unfinished multipart uploads after ``days``."""
    return [
        {
            "ID": "remove-what-was-never-confirmed",
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "Expiration": {"Days": days},
        },
        {
            "ID": "abort-unfinished-multipart-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
        },
    ]


def _send_md5_instead(request: AWSRequest, **_event: object) -> None:
    """Replace the CRC32 headers of botocore, which R2 does not implement for bucket rules, by Content-MD5."""
    for name in _CHECKSUM_HEADERS:
        del request.headers[name]
    body: Any = request.body  # bytes, although the type stubs allow other types
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
