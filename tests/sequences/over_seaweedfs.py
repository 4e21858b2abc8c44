"""The HTTP application with a real SeaweedFS, which verifies every signature with its own clock."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from starlette.testclient import TestClient

from broker import settings
from broker.core.limits import PART_MIN
from broker.service.assembly import assemble
from broker.store.dialect import UNKNOWN
from broker.store.s3 import S3ObjectStore
from broker.web.app import create_app
from tests.stores.place import Place, send

from . import signed_urls
from .backend import SERVICE, Call, Removed, Response, Served

JWT_SECRET = "a secret of the sequences' tests, long enough for HS256"


class OverSeaweedFS:
    """One application, whose clock is ahead of the store's after the first wait of a sequence.

    From then on a URL that is valid by the application's clock is signed again for the store's clock.
    """

    simulates_store = False
    checks_checksums: bool | None = None
    part_size = PART_MIN
    links_for_all = True

    def __init__(self, place: Place) -> None:
        self._presigner = place.presigner()
        self._ahead = 0
        self._sequence = 0
        self._tokens: dict[tuple[str, int], str] = {}
        environment = {
            "R2_ENDPOINT": place.endpoint,
            "R2_ACCESS_KEY_ID": place.credentials.access_key_id,
            "R2_SECRET_ACCESS_KEY": place.credentials.secret_access_key,
            "R2_BUCKET_NAME": place.bucket,
            "BROKER_RATE_LIMIT": "0",
            "JWT_SECRET": JWT_SECRET,
        }
        store = S3ObjectStore(self._presigner, UNKNOWN)
        app = create_app(assemble(settings.parse(environment), store=store, clock=lambda: time.time() + self._ahead))
        self._client = TestClient(app, follow_redirects=False)
        self._client.__enter__()

    def close(self) -> None:
        """Close the application."""
        self._client.__exit__()

    def begin(self, variant: int) -> None:  # noqa: ARG002  this store is of one kind
        """Start with users caller own nothing yet."""
        self._sequence += 1
        self._ahead = 0
        self._tokens.clear()

    def subject(self, caller: str) -> str:
        return f"{caller}-{self._sequence}"

    def jwks(self) -> dict[str, Any]:
        return dict(self._client.get("/.well-known/jwks.json").json())

    def now(self) -> int:
        return int(time.time()) + self._ahead

    def wait(self, seconds: int) -> None:
        self._ahead += seconds

    def clean(self) -> Removed:
        """Remove nothing: the store's lifecycle has its own clock."""
        return Removed()

    def race(self, calls: Sequence[Call], order: Sequence[int]) -> list[Response]:
        """Raise ``NotImplementedError``: the store orders its requests itself."""
        raise NotImplementedError

    def call(self, call: Call) -> Response:
        method, path, document, headers = _request(call)
        headers["Authorization"] = f"Bearer {self._token(call.caller)}"
        response = self._client.request(method, f"/api/v1{path}", json=document, headers=headers)
        found = response.json() if response.content else {}
        found.pop("requestId", None)
        for result in found.get("results", ()):
            result.get("problem", {}).pop("requestId", None)
        return Response(response.status_code, found)

    def put(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        signed = self._for_the_store("PUT", url, signed_urls.with_length(headers, body))
        return send("PUT", signed, headers, body).status if signed else 403

    def get(self, url: str) -> Served:
        signed = self._for_the_store("GET", url, {})
        if not signed:
            return Served(403)
        reply = send("GET", signed)
        return Served(reply.status, reply.body, reply.headers.get("etag", "").strip('"'))

    def end(self) -> None:
        """Do nothing: no other sequence uses the same keys."""

    def _for_the_store(self, method: str, url: str, headers: Mapping[str, str]) -> str:
        """Return the URL for the store's clock; empty if it is not valid by the application's clock."""
        if not self._ahead:
            return url
        found = signed_urls.read(url)
        if not found.is_signed(self._presigner, method, headers) or found.is_expired(self.now()):
            return ""
        return found.signed_again(self._presigner, method, headers, int(time.time()))

    def _token(self, caller: str) -> str:
        key = (caller, self.now() // 300)
        if key not in self._tokens:
            scope = {"scope": "broker:service"} if caller == SERVICE else {}
            claims = {"sub": self.subject(caller), "exp": self.now() + 600, **scope}
            self._tokens[key] = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
        return self._tokens[key]


def _request(call: Call) -> tuple[str, str, Any, dict[str, str]]:
    """Return method, path, document and header fields of a call."""
    first, *more = call.arguments
    match call.name:
        case "create":
            key = more[0]
            return "POST", "/uploads/batch", {"files": first}, {"Idempotency-Key": key} if key else {}
        case "parts":
            return "POST", f"/uploads/{first}/parts", {"partNumbers": list(more[0])}, {}
        case "confirm_many":
            return "POST", "/uploads/confirm", {"uploadIds": first}, {}
        case "delete_many":
            return "POST", "/objects/delete", {"keys": first}, {}
        case "confirm":
            return "POST", f"/uploads/{first}/confirm", None, {}
    methods = {
        "look": ("GET", "/uploads"),
        "abort": ("DELETE", "/uploads"),
        "object": ("GET", "/objects"),
        "head": ("HEAD", "/objects"),
        "delete": ("DELETE", "/objects"),
        "link": ("GET", "/downloads"),
    }
    method, resource = methods[call.name]
    return method, f"{resource}/{first}", None, {}
