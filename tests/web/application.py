"""The application in this process, for tests of its edge, with a store that must not be called unless given."""

import time
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import jwt
from starlette.testclient import TestClient

from broker import settings
from broker.service.assembly import assemble
from broker.store.port import ObjectStore
from broker.web.app import create_app
from tests.patience import A_DAY

from . import hypercorn_server

JWT_SECRET = "a secret of the edge's tests, long enough for HS256"
ENVIRONMENT = {
    "R2_ENDPOINT": "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
    "R2_ACCESS_KEY_ID": "AKEDGE",
    "R2_SECRET_ACCESS_KEY": "the canary secret access key",
    "R2_BUCKET_NAME": "songs",
    "JWT_SECRET": JWT_SECRET,
    "BROKER_SECRET": "the canary secret of upload ids and receipts",
    "BROKER_RATE_LIMIT": "0",
}
ID = "0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55"
KEY = f"media/{ID}.mp3"


def path_of(template: str, upload_id: str = "an-id", key: str = KEY) -> str:
    """Return the path of a route's template with an upload id or a key."""
    return template.replace("{upload_id}", upload_id).replace("{key:path}", key)


class UnusedStore:
    """A store that fails the test if it is called."""

    clock_skew = None
    is_circuit_open = False

    def __getattr__(self, name: str) -> Any:
        if name == "close":
            return self._close
        return self._fail

    async def _close(self) -> None:
        return None

    async def _fail(self, *_arguments: Any, **_options: Any) -> NoReturn:
        raise AssertionError("a refused request reached the store")


def token(subject: str = "user-1", **claims: Any) -> str:
    """Return a bearer token."""
    return jwt.encode({"sub": subject, "exp": int(time.time()) + A_DAY, **claims}, JWT_SECRET, algorithm="HS256")


def client(
    store: ObjectStore | None = None, *, bearer: str | None = None, environment: Mapping[str, str] = ENVIRONMENT
) -> TestClient:
    """Return a client of a new application, with a user's token unless ``bearer`` is given."""
    unused: Any = UnusedStore()
    app = create_app(assemble(settings.parse(environment), store=store or unused))
    headers = {"Authorization": f"Bearer {bearer or token()}"}
    if hypercorn_server.is_chosen():
        return cast("TestClient", hypercorn_server.HypercornClient(app, headers))
    return TestClient(app, headers=headers, raise_server_exceptions=False, follow_redirects=False)
