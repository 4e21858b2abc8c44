"""A confirm as a usual application has it, with Starlette and boto3: two calls to the store, each in a thread.

It verifies the token with PyJWT, reads the HEAD of the staged object, checks its size and type, and copies it with
a condition. One boto3 client serves all requests. The broker sends one request more: it also checks whether the
ready object exists, and reads the first bytes. This peer has no access log, metrics, request id or receipt.

It needs only the environment of the peers: ``uvicorn confirming:app --no-access-log``.
"""

import os

import boto3
import jwt
from botocore.config import Config
from botocore.exceptions import ClientError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

JWT_SECRET = os.environ["JWT_SECRET"]
BUCKET = os.environ["R2_BUCKET_NAME"]
MAX_SIZE = 200 * 1024 * 1024
ALLOWED = {"audio/mpeg", "audio/wav", "video/mp4"}

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["R2_ENDPOINT"],
    aws_access_key_id=os.environ["R2_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["R2_SECRET_ACCESS_KEY"],
    region_name="auto",
    config=Config(
        signature_version="s3v4",
        max_pool_connections=64,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    ),
)


def current_user(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() == "bearer":
            return str(jwt.decode(token, JWT_SECRET, algorithms=["HS256"])["sub"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid token") from error
    raise HTTPException(401, "Not authenticated")


async def confirm(request: Request) -> JSONResponse:
    user, key = current_user(request), request.path_params["key"]
    staged = f"incoming/{key}"
    try:
        head = await run_in_threadpool(s3.head_object, Bucket=BUCKET, Key=staged)
    except ClientError as error:
        raise HTTPException(404, "Nothing was uploaded") from error
    if head["ContentLength"] > MAX_SIZE or head["ContentType"] not in ALLOWED:
        raise HTTPException(422, "Not what may be uploaded")
    copied = await run_in_threadpool(
        s3.copy_object,
        Bucket=BUCKET,
        Key=f"media/{key}",
        CopySource={"Bucket": BUCKET, "Key": staged},
        CopySourceIfMatch=head["ETag"],
        MetadataDirective="REPLACE",
        ContentType=head["ContentType"],
        Metadata={"owner": user},
    )
    etag = copied["CopyObjectResult"]["ETag"]
    return JSONResponse({"key": f"media/{key}", "etag": etag, "size": head["ContentLength"]})


app = Starlette(routes=[Route("/confirm/{key:path}", confirm, methods=["POST"])])
