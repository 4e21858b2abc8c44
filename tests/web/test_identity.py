"""A deployment whose keys are the identity service's: what callers see when it is there, and when it is not."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest

from tests.auth.minting import P256, document, jwk
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, KEY, client

ELSEWHERE = {name: value for name, value in ENVIRONMENT.items() if name != "JWT_SECRET"}
AWAY = {**ELSEWHERE, "JWT_JWKS_URL": "http://127.0.0.1:1/keys"}


class Published(BaseHTTPRequestHandler):
    """The keys."""

    def do_GET(self) -> None:
        """Whatever is asked."""
        body = document(jwk(P256, "one"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    """Where the keys are."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Published) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()
        thread.join()


def token() -> str:
    """By the published key."""
    return jwt.encode({"sub": "u1", "exp": int(time.time()) + 3600}, P256, "ES256", {"kid": "one"})


def test_tokens_are_verified_by_the_published_keys(service: str) -> None:
    with client(environment={**ELSEWHERE, "JWT_JWKS_URL": service}, bearer=token()) as app:
        assert app.get(f"/api/v1/downloads/{KEY}").status_code == 200
        forged = {"Authorization": f"Bearer {token()[:-4]}AAAA"}
        assert app.get(f"/api/v1/downloads/{KEY}", headers=forged).status_code == 401


def test_without_keys_the_answer_is_503_and_not_that_the_token_is_bad() -> None:
    """K06."""
    with client(MemoryObjectStore(), environment=AWAY, bearer=token()) as app:
        answer = app.get(f"/api/v1/downloads/{KEY}")
        assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert "url" not in answer.json()
        assert app.get("/healthz").status_code == 200
        ready = app.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["keys"]) == (503, "identity_unavailable")


def test_a_request_without_a_token_is_401_all_the_same() -> None:
    with client(environment=AWAY) as app:
        assert app.get(f"/api/v1/downloads/{KEY}", headers={"Authorization": ""}).status_code == 401
