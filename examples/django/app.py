"""A backend that saves tracks: by confirm, or by a receipt that it verifies offline.

Run it by ``python app.py runserver 8001``. Settings: BROKER, SERVICE_TOKEN (with the scope broker:service), JWT_SECRET
(of your users' tokens), and BROKER_ISSUER if the broker has another one. In a project of yours, the views belong into
``views.py``, and the lines about ``settings`` are not needed.
"""

import json
import os
import secrets
import sys
from collections.abc import Callable
from functools import wraps
from urllib.parse import quote

import httpx
import jwt
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY=secrets.token_hex(), ALLOWED_HOSTS=["127.0.0.1", "localhost"])

BROKER = os.environ["BROKER"]
SERVICE = {"Authorization": f"Bearer {os.environ['SERVICE_TOKEN']}"}
JWT_SECRET = os.environ["JWT_SECRET"]
ISSUER = os.environ.get("BROKER_ISSUER", "r2-upload-broker")

broker = httpx.Client(base_url=f"{BROKER}/api/v1", headers=SERVICE, timeout=60, trust_env=False)
public_keys = jwt.PyJWKClient(f"{BROKER}/.well-known/jwks.json", lifespan=86_400)  # seconds for which keys are kept
tracks: dict[str, str] = {}  # your database: the key of each track, and its user

View = Callable[[HttpRequest, str, str], JsonResponse]


def with_member(name: str) -> Callable[[View], Callable[[HttpRequest], JsonResponse]]:
    """Call a view with the signed-in user and one member of the JSON document in the request."""

    def decorate(view: View) -> Callable[[HttpRequest], JsonResponse]:
        @csrf_exempt  # a bearer token is not sent by the browser itself
        @require_POST
        @wraps(view)
        def wrapped(request: HttpRequest) -> JsonResponse:
            try:
                user = signed_in(request)
            except (jwt.PyJWTError, KeyError):
                return refusal(401, "unauthenticated")
            try:
                value = json.loads(request.body)[name]
            except (ValueError, KeyError, TypeError):
                value = None
            return view(request, user, value) if isinstance(value, str) else refusal(422, f"{name} is missing")

        return wrapped

    return decorate


def signed_in(request: HttpRequest) -> str:
    """Return the user of the request. Replace this by your own authentication."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return str(jwt.decode(token, JWT_SECRET, algorithms=["HS256"])["sub"])


@with_member("uploadId")
def by_upload(_request: HttpRequest, user: str, upload_id: str) -> JsonResponse:
    """Confirm an upload at the broker, and save its key."""
    try:
        confirmed = broker.post(f"/uploads/{quote(upload_id, safe='')}/confirm")
    except httpx.TransportError:
        return refusal(503, "the broker is not available")
    if confirmed.is_error:
        return refusal(confirmed.status_code, confirmed.json()["code"])
    if confirmed.status_code == 202:  # a large object is still being copied: the client repeats its request
        headers = {"Retry-After": confirmed.headers["Retry-After"]}
        return JsonResponse({"status": "promoting"}, status=202, headers=headers)
    track = confirmed.json()
    return save(track["key"], track["owner"], user)


@with_member("receipt")
def by_receipt(_request: HttpRequest, user: str, receipt: str) -> JsonResponse:
    """Verify a receipt without a call to the broker, and save its key."""
    try:
        if jwt.get_unverified_header(receipt).get("typ") != "track-ready+jwt":
            raise jwt.InvalidTokenError
        key = public_keys.get_signing_key_from_jwt(receipt)
        track = jwt.decode(receipt, key, algorithms=["EdDSA"], issuer=ISSUER)
    except jwt.PyJWKClientConnectionError:
        return refusal(503, "the public keys are not available")
    except jwt.PyJWTError:
        return refusal(422, "the receipt is not valid")
    return save(track["key"], track["sub"], user)


def save(key: str, owner: str, user: str) -> JsonResponse:
    """Save a track of the user; a second request with the same key changes nothing."""
    if owner != user:
        return refusal(404, "not_found")
    tracks[key] = user
    return JsonResponse({"key": key}, status=201)


def refusal(status: int, detail: str) -> JsonResponse:
    """Return an error."""
    return JsonResponse({"detail": detail}, status=status)


urlpatterns = [path("tracks/by-upload", by_upload), path("tracks/by-receipt", by_receipt)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
