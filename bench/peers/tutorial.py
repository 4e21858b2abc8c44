"""The usual tutorial: FastAPI validates the request with pydantic and the token with PyJWT, and boto3 signs the URL.

The cost includes the thread in which FastAPI runs a plain ``def``. One boto3 client serves all requests. This peer
has no access log, metrics, request id or rate limit.

It needs only a virtual environment of its own: ``uvicorn tutorial:app --no-access-log``.
"""

import os
import uuid
from typing import Annotated

import boto3
import jwt
from botocore.config import Config
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

JWT_SECRET = os.environ["JWT_SECRET"]
BUCKET = os.environ["R2_BUCKET_NAME"]
EXPIRES_IN = 900

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["R2_ENDPOINT"],
    aws_access_key_id=os.environ["R2_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["R2_SECRET_ACCESS_KEY"],
    region_name="auto",
    config=Config(signature_version="s3v4"),
)
app = FastAPI()
bearer = HTTPBearer()


class UploadRequest(BaseModel):
    """The request body."""

    model_config = ConfigDict(populate_by_name=True)

    filename: str = Field(min_length=1, max_length=255)
    content_type: str = Field(alias="contentType")
    size: int = Field(gt=0)


class UploadResponse(BaseModel):
    """The response body."""

    s3_upload_id: uuid.UUID = Field(serialization_alias="uploadId")
    url: str
    key: str


async def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    """Return the subject of the token."""
    try:
        claims = jwt.decode(credentials.credentials, JWT_SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(status_code=401, detail="Invalid token") from error
    return str(claims["sub"])


@app.post("/uploads", status_code=201)
def create_upload(upload: UploadRequest, user: Annotated[str, Depends(current_user)]) -> UploadResponse:
    """Presign the PUT of one upload."""
    s3_upload_id = uuid.uuid4()
    key = f"uploads/{user}/{s3_upload_id}/{upload.filename}"
    url = s3.generate_presigned_url(
        "put_object",
        Params={"Bucket": BUCKET, "Key": key, "ContentType": upload.content_type},
        ExpiresIn=EXPIRES_IN,
    )
    return UploadResponse(s3_upload_id=s3_upload_id, url=url, key=key)
