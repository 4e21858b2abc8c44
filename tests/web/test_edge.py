"""The HTTP edge: authentication, refusals, unhandled exceptions and the request log."""

import asyncio
import json
import logging
import re
from typing import Any

import pytest

from broker.core.media import MEDIA_TYPES
from broker.web.request_log import RequestLog
from broker.web.routes import RESOURCES
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, KEY, client, path_of, token

FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
OPERATIONS = [
    (method, path_of(path))
    for path, handlers in RESOURCES.items()
    for method in [*handlers, *(["HEAD"] if "GET" in handlers else [])]
]
"""Each method and path that needs a token. A path with a GET has a HEAD too."""


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_l04_bad_tokens_get_one_response(method: str, path: str) -> None:
    """Every resource refuses all bad tokens with one body, without a reason and without a call to the store."""
    bad = ["", "Bearer", "Bearer x", "Basic dTpw", f"Bearer {token(exp=1)}", f"Bearer {token()}x"]
    responses = [client().request(method, path, headers={"Authorization": value}) for value in bad]
    bodies = {response.text.replace(response.headers["x-request-id"], "ID") for response in responses}
    assert {response.status_code for response in responses} == {401}
    assert len(bodies) == 1
    assert {response.headers["www-authenticate"] for response in responses} == {'Bearer error="invalid_token"'}


def test_t29_two_authorization_fields_are_refused() -> None:
    """A request with two Authorization fields gets a 400."""
    good = ("Authorization", f"Bearer {token()}")
    bare = client()
    del bare.headers["Authorization"]
    assert bare.get("/api/v1/keys", headers=[good, good]).status_code == 400


@pytest.mark.parametrize("place", ["query", "cookie"])
def test_t29_token_elsewhere_is_ignored(place: str) -> None:
    """A token in the query or in a cookie is ignored."""
    bare = client()
    del bare.headers["Authorization"]
    query = f"?access_token={token()}" if place == "query" else ""
    headers = {"Cookie": f"Authorization={token()}"} if place == "cookie" else {}
    assert bare.get(f"/api/v1/keys{query}", headers=headers).status_code == 401


def test_h23_unknown_path_is_not_redirected() -> None:
    """An unknown path or a wrong slash is a 404 without a Location made from the Host (H11)."""
    for path in ("/", "/api/v1", "/api/v1/uploads/", "//api/v1/uploads", "/healthz/", "/docs", "/.env", "/metrics"):
        response = client().get(path, headers={"Host": "evil.test"})
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
        assert "location" not in response.headers


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "FOO", "OPTIONS"])
def test_wrong_method_lists_allowed_ones(method: str) -> None:
    """A wrong method is a 405 that lists the allowed ones."""
    response = client().request(method, "/api/v1/uploads/x")
    assert (response.status_code, response.headers["allow"]) == (405, "DELETE, GET, HEAD")
    assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method"])
def test_h01_header_cannot_override_method(header: str) -> None:
    """A header field cannot override the method."""
    assert client().get("/healthz", headers={header: "DELETE"}).status_code == 200


def test_problem_has_every_member() -> None:
    """A problem document has every member, the two aliases included."""
    problem = client().post("/api/v1/uploads", json={**FILE, "size": 0}).json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "requestId", "error", "message", "errors"}
    assert (problem["error"], problem["message"]) == (problem["title"], problem["detail"])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("é", False), ("", False)],
)
def test_h29_valid_request_id_is_kept(sent: str, kept: bool) -> None:
    """A client's request id is kept if it is valid, and replaced otherwise."""
    response = client().get("/healthz", headers={b"X-Request-Id": sent.encode()})
    assert (response.headers["x-request-id"] == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", response.headers["x-request-id"])


def test_h26_response_with_url_is_not_cached() -> None:
    """A response with a signed URL must not be cached."""
    response = client().post("/api/v1/uploads", json=FILE)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["vary"] == "Authorization"


@pytest.mark.parametrize(
    "path", ["/healthz", "/openapi.yaml", "/static/broker-upload.js", "/nowhere", "/api/v1/uploads"]
)
def test_responses_have_security_headers(path: str) -> None:
    """Every response forbids type sniffing and referrers."""
    response = client().get(path)
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_stable_link_is_privately_cacheable() -> None:
    """A stable link may be cached by its user until its window ends, and not at all without a window."""
    control = client().get(f"/api/v1/downloads/{KEY}").headers["cache-control"]
    assert re.fullmatch(r"private, max-age=([1-9]|[1-9]\d|[12]\d\d|300)", control)
    off = client(environment={**ENVIRONMENT, "DOWNLOAD_URL_WINDOW": "0"})
    assert off.get(f"/api/v1/downloads/{KEY}").headers["cache-control"] == "no-store"


def test_location_is_the_upload() -> None:
    """The Location of a created upload is the path of its status."""
    here = client(MemoryObjectStore())
    response = here.post("/api/v1/uploads", json=FILE)
    assert response.headers["location"] == f"/api/v1/uploads/{response.json()['uploadId']}"
    assert here.get(response.headers["location"]).json()["status"] == "pending"


def records(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the broker's log lines."""
    return [json.loads(record.getMessage()) for record in caplog.records if record.name.startswith("broker")]


def test_l03_request_log_has_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """A request leaves one line with the template of its route, but without path, query, token or URL."""
    caplog.set_level(logging.INFO)
    bearer = token()
    response = client(bearer=bearer).get(
        f"/api/v1/downloads/{KEY}?filename=secret.mp3", headers={"X-Request-Id": "r-1"}
    )
    (line,) = records(caplog)
    assert (line["event"], line["method"], line["route"]) == (
        "broker.request_completed",
        "GET",
        "/api/v1/downloads/{key:path}",
    )
    assert (line["status"], line["requestId"], line["sub"]) == (200, "r-1", "user-1")
    for secret in (bearer, KEY, "secret.mp3", "X-Amz-Signature", response.json()["url"]):
        assert secret not in json.dumps(line)


def test_refusal_is_logged_with_reason(caplog: pytest.LogCaptureFixture) -> None:
    """The line of a refusal has its code and reason."""
    caplog.set_level(logging.INFO)
    client(bearer="x.y.z").get("/api/v1/keys")
    (line,) = records(caplog)
    assert (line["code"], line["status"]) == ("unauthenticated", 401)
    assert line["reason"]


def test_unknown_method_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A method that is not standard is logged as ``?``."""
    caplog.set_level(logging.INFO)
    client().request("X" * 40, "/healthz")
    assert records(caplog)[0]["method"] == "?"


def test_l02_exception_text_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """After an unhandled exception its type is logged, and its text appears neither in the log nor in the response."""
    caplog.set_level(logging.INFO)
    response = client(bearer=token()).get(f"/api/v1/objects/{KEY}")  # the unused store raises
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    accident, line = records(caplog)
    assert (accident["event"], accident["type"]) == ("broker.request_failed", "AssertionError")
    assert accident["requestId"] == line["requestId"] == response.json()["requestId"]
    assert "a refused request reached the store" not in json.dumps([accident, line]) + response.text


def test_h25_no_origin_is_allowed_by_default() -> None:
    """Without configured origins no page may read a response."""
    response = client().get("/healthz", headers={"Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in response.headers


def test_listed_origin_is_allowed() -> None:
    """A page of a listed origin may call the API and read X-Request-Id, and another may not."""
    app = client(environment={**ENVIRONMENT, "BROKER_CORS_ORIGINS": "https://app.example"})
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    response = app.options("/api/v1/uploads", headers=preflight)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    real = app.post("/api/v1/uploads", json=FILE, headers={"Origin": "https://app.example"})
    assert "X-Request-Id" in real.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in real.headers
    other = app.options("/api/v1/uploads", headers={**preflight, "Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(("size", "status"), [(0, 201), (65_536, 201), (65_537, 413)])
def test_e03_body_may_be_chunked(size: int, status: int) -> None:
    """A chunked body is read, and refused while it is read if it is over the limit."""
    body = json.dumps(FILE).encode()
    pieces = [
        body,
        *[b" " * 1000] * (max(size - len(body), 0) // 1000),
        b" " * ((size - len(body)) % 1000 if size else 0),
    ]
    response = client().post("/api/v1/uploads", content=iter(pieces), headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text


@pytest.mark.parametrize("pieces", [[], [b"{}"]])
def test_e03_optional_body_may_be_chunked(pieces: list[bytes]) -> None:
    """An optional body may be chunked and empty."""
    fields = {"Content-Type": "application/json"} if pieces else {}
    assert client().post("/api/v1/uploads/x/confirm", content=iter(pieces), headers=fields).status_code == 404


def test_l08_health_shows_no_details() -> None:
    """The health response has a status and no details."""
    assert client().get("/healthz").json() == {"status": "ok"}


def test_missing_store_names_the_settings() -> None:
    """Without a store the service runs, and its responses name the settings that are missing."""
    bare = client(environment={"JWT_SECRET": ENVIRONMENT["JWT_SECRET"]})
    assert bare.get("/readyz").json()["checks"]["configuration"] == "storage_not_configured"
    assert bare.get("/.well-known/jwks.json").json() == {"keys": []}
    status = bare.get("/api/v1/uploads/status").json()
    assert (status["r2Configured"], status["provider"]) == (False, "none")
    response = bare.post("/api/v1/uploads", json=FILE)
    assert (response.status_code, response.json()["error"]) == (503, "Cloud storage not configured")
    assert "R2_BUCKET_NAME" in response.json()["message"]


def test_openapi_document_is_served() -> None:
    """The OpenAPI document is served as YAML."""
    response = client().get("/openapi.yaml")
    assert response.headers["content-type"].startswith("application/yaml")
    assert response.text.startswith("openapi: 3.1")


def test_receipt_keys_are_public() -> None:
    """The public keys of the receipts are served with a public cache lifetime."""
    response = client().get("/.well-known/jwks.json")
    assert response.headers["cache-control"] == "public, max-age=300"
    assert [key["crv"] for key in response.json()["keys"]] == ["Ed25519"]


def test_storage_status_shows_the_limits() -> None:
    """The storage status shows that a store is configured, and the limits of the deployment."""
    limits = {
        "UPLOAD_MAX_BYTES": "100MiB",
        "UPLOAD_MULTIPART_THRESHOLD": "1MiB",
        "UPLOAD_TYPES": "image/png, AUDIO/MP3",
    }
    narrowed = client(environment={**ENVIRONMENT, **limits}).get("/api/v1/uploads/status").json()
    assert narrowed == {
        "r2Configured": True,
        "provider": "cloudflare-r2",
        "maxBytes": 100 * 2**20,
        "multipartThreshold": 2**20,
        "types": ["audio/mpeg", "image/png"],
    }
    default = client().get("/api/v1/uploads/status").json()
    assert default["types"] == [media.name for media in MEDIA_TYPES]
    assert default["multipartThreshold"] == 16 * 2**20


async def run_request(app: Any, *received: dict[str, Any], sent: list[dict[str, Any]]) -> None:
    """Run one request of the given messages, for cases that no well-behaved client sends."""
    headers = [(b"authorization", f"Bearer {token()}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/uploads",
        "query_string": b"",
        "headers": [*headers, (b"content-length", b"100")],
    }
    messages = list(received)

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)


async def test_h28_disconnect_in_body_is_not_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """A client that disconnects during its body causes a 400 and no logged error."""
    caplog.set_level(logging.INFO)
    sent: list[dict[str, Any]] = []
    await run_request(client().app, {"type": "http.disconnect"}, sent=sent)
    assert [line["event"] for line in records(caplog)] == ["broker.request_completed"]
    assert sent[0]["status"] == 400


async def test_exception_after_response_start_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception after the start of a response is logged, and there is no second response."""
    caplog.set_level(logging.INFO)

    async def torn(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError

    sent: list[dict[str, Any]] = []
    await run_request(RequestLog(torn), sent=sent)
    assert [line["event"] for line in records(caplog)] == ["broker.request_failed", "broker.request_completed"]
    assert len(sent) == 1
