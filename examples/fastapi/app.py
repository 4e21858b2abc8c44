"""A backend that saves tracks: by confirm, or by a receipt that it verifies offline.

Run it by ``uvicorn app:app``. Settings: BROKER, SERVICE_TOKEN (with the scope broker:service), JWT_SECRET (of your
users' tokens), and BROKER_ISSUER if the broker has another one.
"""

import os
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

BROKER = os.environ["BROKER"]
SERVICE = {"Authorization": f"Bearer {os.environ['SERVICE_TOKEN']}"}
JWT_SECRET = os.environ["JWT_SECRET"]
ISSUER = os.environ.get("BROKER_ISSUER", "r2-upload-broker")

app = FastAPI()
broker = httpx.Client(base_url=f"{BROKER}/api/v1", headers=SERVICE, timeout=60, trust_env=False)
public_keys = jwt.PyJWKClient(f"{BROKER}/.well-known/jwks.json", lifespan=86_400)  # seconds for which keys are kept
tracks: dict[str, str] = {}  # your database: the key of each track, and its user


class ByUpload(BaseModel):
    """An upload whose bytes are in the store."""

    upload_id: Annotated[str, Field(alias="uploadId")]


class ByReceipt(BaseModel):
    """The receipt of an upload that the client has confirmed."""

    receipt: str


def signed_in(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    """Return the user of the request. Replace this by your own authentication."""
    try:
        return str(jwt.decode(credentials.credentials, JWT_SECRET, algorithms=["HS256"])["sub"])
    except (jwt.PyJWTError, KeyError):
        raise HTTPException(401) from None


User = Annotated[str, Depends(signed_in)]


@app.post("/tracks/by-upload", status_code=201)
def by_upload(body: ByUpload, user: User, response: Response) -> dict[str, Any]:
    """Confirm an upload at the broker, and save its key."""
    try:
        confirmed = broker.post(f"/uploads/{quote(body.upload_id, safe='')}/confirm")
    except httpx.TransportError:
        raise HTTPException(503, "the broker is not available") from None
    if confirmed.is_error:
        raise HTTPException(confirmed.status_code, confirmed.json()["code"])
    if confirmed.status_code == 202:  # a large object is still being copied: the client repeats its request
        response.status_code = 202
        response.headers["Retry-After"] = confirmed.headers["Retry-After"]
        return {"status": "promoting"}
    track = confirmed.json()
    return save(track["key"], track["owner"], user)


@app.post("/tracks/by-receipt", status_code=201)
def by_receipt(body: ByReceipt, user: User) -> dict[str, Any]:
    """Verify a receipt without a call to the broker, and save its key."""
    try:
        if jwt.get_unverified_header(body.receipt).get("typ") != "track-ready+jwt":
            raise jwt.InvalidTokenError
        key = public_keys.get_signing_key_from_jwt(body.receipt)
        track = jwt.decode(body.receipt, key, algorithms=["EdDSA"], issuer=ISSUER)
    except jwt.PyJWKClientConnectionError:
        raise HTTPException(503, "the public keys are not available") from None
    except jwt.PyJWTError:
        raise HTTPException(422, "the receipt is not valid") from None
    return save(track["key"], track["sub"], user)


def save(key: str, owner: str, user: str) -> dict[str, Any]:
    """Save a track of the user; a second request with the same key changes nothing."""
    if owner != user:
        raise HTTPException(404)
    tracks[key] = user
    return {"key": key}
