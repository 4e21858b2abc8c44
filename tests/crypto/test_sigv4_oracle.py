"""The presigner compared with botocore under one frozen clock, for random keys, headers and query parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.core.model import ObjectRef

from .signed_requests import (
    BUCKETS,
    ENDPOINT,
    INSTANTS,
    KEY_ID,
    KEYS,
    REQUESTS,
    SECRET,
    TEXT,
    TOKEN,
    VALUES,
    Request,
    frozen,
    parts,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@settings(deadline=None)
@given(REQUESTS)
@example(Request(headers={"Content-Type": "audio/mpeg", "Content-Length": "3", "If-None-Match": "*"}))
@example(Request(headers={"x%s": "100 %d"}, query={"a-": "1", "a": "2", "Z": "", "~": "%"}, token=TOKEN))
def test_botocores_signer_signs_the_same(request: Request) -> None:
    """The signer of botocore makes the same URL of any request."""
    assert parts(request.presign()) == parts(request.presign_by_botocore())


@settings(deadline=None)
@given(REQUESTS, st.sampled_from(["partNumber", "A", "x-id", "é&=", ""]), st.lists(TEXT, max_size=4))
@example(Request(query={"uploadId": "x", "": "", "partNumber": "7", "zpartNumber": ""}), "partNumber", ["1", "2", "\0"])
def test_presign_each_equals_presign(request_: Request, name: str, values: list[str]) -> None:
    """URLs that differ in one parameter are the same, signed together or one by one."""
    one_by_one = [replace(request_, query={**request_.query, name: value}).presign() for value in values]
    assert request_.presign_each(name, values) == one_by_one


@pytest.fixture(scope="module")
def clients() -> dict[str | None, "S3Client"]:
    """Clients configured as R2 needs them, without and with a session token."""
    config = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return {
        token: boto3.client(
            "s3",
            endpoint_url=ENDPOINT,
            region_name="auto",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            aws_session_token=token,
            config=config,
        )
        for token in (None, TOKEN)
    }


@dataclass(frozen=True)
class Operation:
    """An S3 operation with the parameters of boto3, and the request that boto3 makes of them."""

    name: str
    method: str
    params: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def operations(size: int, text: str, number: int, upload: str) -> list[Operation]:
    """Return operations with these values in their parameters."""
    part = {"partNumber": str(number), "uploadId": upload}
    return [
        Operation("get_object", "GET"),
        Operation("head_object", "HEAD", {"IfMatch": text}, {"If-Match": text}),
        Operation("delete_object", "DELETE"),
        Operation(
            "get_object", "GET", {"ResponseContentDisposition": upload}, query={"response-content-disposition": upload}
        ),
        Operation(
            "put_object",
            "PUT",
            {"ContentType": text, "ContentLength": size, "IfNoneMatch": "*", "Metadata": {"Owner": text.strip()}},
            {"Content-Type": text, "Content-Length": str(size), "If-None-Match": "*", "X-Amz-Meta-Owner": text},
        ),
        Operation(
            "upload_part",
            "PUT",
            {"PartNumber": number, "UploadId": upload, "ContentLength": size},
            {"content-length": str(size)},
            part,
        ),
        Operation("create_multipart_upload", "POST", query={"uploads": ""}),
        Operation("list_parts", "GET", {"UploadId": upload}, query={"uploadId": upload}),
    ]


OPERATIONS = st.builds(
    operations,
    size=st.integers(0, 5 << 40),
    text=VALUES.filter(str.strip),
    number=st.integers(1, 10_000),
    upload=TEXT.filter(bool),
).flatmap(st.sampled_from)


@settings(deadline=None)
@given(
    operation=OPERATIONS,
    ref=st.builds(ObjectRef, BUCKETS, KEYS.filter(bool)),
    now=INSTANTS,
    token=st.sampled_from([None, TOKEN]),
)
def test_boto3_generates_the_same_url(
    clients: "dict[str | None, S3Client]", operation: Operation, ref: ObjectRef, now: int, token: str | None
) -> None:
    """The ``generate_presigned_url`` of boto3 returns the same URL for any operation."""
    with frozen(now):
        url = clients[token].generate_presigned_url(
            operation.name, Params={"Bucket": ref.bucket, "Key": ref.key, **operation.params}, ExpiresIn=900
        )
    request = Request(operation.method, ref, now, headers=operation.headers, query=operation.query, token=token)

    assert parts(request.presign()) == parts(url)


@settings(deadline=None)
@given(now=INSTANTS, prefix=TEXT)
def test_boto3_gives_a_bucket_the_same_path(clients: "dict[str | None, S3Client]", now: int, prefix: str) -> None:
    """The path of a request to a bucket has no slash after the bucket, as that of boto3."""
    with frozen(now):
        url = clients[None].generate_presigned_url(
            "list_objects_v2", Params={"Bucket": "songs", "Prefix": prefix, "EncodingType": "url"}, ExpiresIn=900
        )
    query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
    request = Request("GET", ObjectRef("songs", ""), now, query=query)

    assert parts(request.presign()) == parts(url)
