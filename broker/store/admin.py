"""Administration of a bucket by boto3, for commands only: its creation, its CORS rules and its lifecycle rules.

``bucket_rules`` builds the rules, this module sends and reads them. A serving process never imports it.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from broker.crypto.sigv4 import Credentials

from .bucket_rules import cors_rule, lifecycle_rules
from .dialect import dialect_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

Rule = Mapping[str, Any]
"""A CORS rule or a lifecycle rule, as S3 writes it."""

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


class BucketRulesError(Exception):
    """The store did not return or did not take the rules of a bucket. The text has the operation and the reason."""


def read_cors(client: "S3Client", bucket: str) -> list[Rule]:
    """Return the CORS rules of a bucket; raise ``BucketRulesError``."""
    found = _rules("GetBucketCors", "NoSuchCORSConfiguration", partial(client.get_bucket_cors, Bucket=bucket))
    return list(found.get("CORSRules", []))


def read_lifecycle(client: "S3Client", bucket: str) -> list[Rule]:
    """Return the lifecycle rules of a bucket; raise ``BucketRulesError``."""
    read = partial(client.get_bucket_lifecycle_configuration, Bucket=bucket)
    found = _rules("GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration", read)
    return list(found.get("Rules", []))


def write_cors(client: "S3Client", bucket: str, rules: Sequence[Rule]) -> None:
    """Replace the CORS rules of a bucket, or remove them; raise ``BucketRulesError``."""
    if rules:
        configuration: Any = {"CORSRules": list(rules)}
        _call("PutBucketCors", partial(client.put_bucket_cors, Bucket=bucket, CORSConfiguration=configuration))
    else:
        _call("DeleteBucketCors", partial(client.delete_bucket_cors, Bucket=bucket))


def write_lifecycle(client: "S3Client", bucket: str, rules: Sequence[Rule]) -> None:
    """Replace the lifecycle rules of a bucket, or remove them; raise ``BucketRulesError``."""
    if rules:
        put, configuration = client.put_bucket_lifecycle_configuration, {"Rules": list(rules)}
        _call("PutBucketLifecycle", partial(put, Bucket=bucket, LifecycleConfiguration=configuration))  # type: ignore[arg-type]
    else:
        _call("DeleteBucketLifecycle", partial(client.delete_bucket_lifecycle, Bucket=bucket))


def _rules(operation: str, none_code: str, read: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the response of a read; an empty one if the store reports by ``none_code`` that there are no rules."""
    try:
        return _call(operation, read)
    except BucketRulesError as error:
        if none_code in str(error):
            return {}
        raise


def _call(operation: str, call: Callable[[], T]) -> T:
    """Return the result of a call; raise ``BucketRulesError`` without any secret or URL."""
    try:
        return call()
    except ClientError as error:
        code = "".join(filter(str.isprintable, error.response.get("Error", {}).get("Code", "")))
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise BucketRulesError(f"{operation} returned {status}, {code}") from None
    except BotoCoreError as error:
        raise BucketRulesError(f"{operation} got no response, {type(error).__name__}") from None


def _send_md5_instead(request: AWSRequest, **_event: object) -> None:
    """Replace the CRC32 headers of botocore, which R2 does not implement for bucket rules, by Content-MD5."""
    for name in _CHECKSUM_HEADERS:
        del request.headers[name]
    body: Any = request.body  # bytes, although the type stubs allow other types
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
