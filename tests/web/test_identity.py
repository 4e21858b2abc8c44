"""A deployment with the keys of an identity service, available and unavailable."""

import json
import time
from collections.abc import Iterator

import jwt
import pytest

from tests.auth.minting import P256, document, jwk
from tests.http_server import GetHandler, serving, url_of
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, KEY, client

ELSEWHERE = {name: value for name, value in ENVIRONMENT.items() if name != "JWT_SECRET"}
AWAY = {**ELSEWHERE, "JWT_JWKS_URL": "http://127.0.0.1:1/keys"}


class KeyServer(GetHandler):
    """A server of the published keys."""

    def get(self) -> None:
        """Respond with the keys."""
        self.respond(200, document(jwk(P256, "one")), "application/json")


@pytest.fixture
def service() -> Iterator[str]:
    """Yield the URL of the keys."""
    with serving(KeyServer) as server:
        yield f"{url_of(server)}/keys"


def token() -> str:
    """Return a token that the published key verifies."""
    return jwt.encode({"sub": "u1", "exp": int(time.time()) + 3600}, P256, "ES256", {"kid": "one"})


def test_published_keys_verify_tokens(service: str) -> None:
    """The published keys verify a token, and refuse a forged one."""
    with client(environment={**ELSEWHERE, "JWT_JWKS_URL": service}, bearer=token()) as app:
        assert app.get(f"/api/v1/downloads/{KEY}").status_code == 200
        forged = {"Authorization": f"Bearer {token()[:-4]}AAAA"}
        assert app.get(f"/api/v1/downloads/{KEY}", headers=forged).status_code == 401


def test_e06_tokens_as_services_issue_them(service: str) -> None:
    """Keys at a URL with a query verify a token with an integer as subject, null claims and scopes in ``scp``."""
    claims = {"sub": 42, "exp": int(time.time()) + 3600, "nbf": None, "iat": None, "scope": None}
    with client(MemoryObjectStore(), environment={**ELSEWHERE, "JWT_JWKS_URL": f"{service}?appid=1"}) as app:
        for more, status in (({}, 403), ({"scp": "a broker:service"}, 200), ({"scp": ["broker:service"]}, 200)):
            given = jwt.PyJWS().encode(json.dumps({**claims, **more}).encode(), P256, "ES256", {"kid": "one"})
            found = app.post(
                "/api/v1/objects/delete", json={"keys": [KEY]}, headers={"Authorization": f"Bearer {given}"}
            )
            assert found.status_code == status


def test_k06_missing_keys_are_a_503() -> None:
    """While the keys are unavailable, a token gets a 503 with Retry-After, and the process is not ready."""
    with client(MemoryObjectStore(), environment=AWAY, bearer=token()) as app:
        response = app.get(f"/api/v1/downloads/{KEY}")
        assert (response.status_code, response.json()["code"]) == (503, "identity_unavailable")
        assert 1 <= int(response.headers["retry-after"]) <= 30
        assert "url" not in response.json()
        assert app.get("/healthz").status_code == 200
        ready = app.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["keys"]) == (503, "identity_unavailable")


def test_missing_token_is_401_without_keys() -> None:
    """A request without a token gets a 401 even while the keys are unavailable."""
    with client(environment=AWAY) as app:
        assert app.get(f"/api/v1/downloads/{KEY}", headers={"Authorization": ""}).status_code == 401
