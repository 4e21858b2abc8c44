"""The HTTP edge: who gets in, how refusals and accidents look, what a request leaves behind."""

import asyncio
import json
import logging
import re
from typing import Any

import pytest

from broker.web.request_log import RequestLog
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, KEY, client, token

FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
RESOURCES = [
    ("POST", "/uploads"),
    ("POST", "/uploads/confirm"),
    ("GET", "/uploads/x"),
    ("DELETE", "/uploads/x"),
    ("POST", "/uploads/x/confirm"),
    ("POST", "/uploads/x/parts"),
    ("GET", f"/objects/{KEY}"),
    ("HEAD", f"/objects/{KEY}"),
    ("DELETE", f"/objects/{KEY}"),
    ("POST", "/objects/delete"),
    ("GET", "/keys"),
    ("GET", f"/downloads/{KEY}"),
    ("POST", "/downloads"),
]


@pytest.mark.parametrize(("method", "path"), RESOURCES)
def test_without_a_good_token_every_resource_answers_alike(method: str, path: str) -> None:
    """L04: no cause, no store, one body for all."""
    bad = ["", "Bearer", "Bearer x", "Basic dTpw", f"Bearer {token(exp=1)}", f"Bearer {token()}x"]
    answers = [client().request(method, f"/api/v1{path}", headers={"Authorization": value}) for value in bad]
    bodies = {answer.text.replace(answer.headers["x-request-id"], "ID") for answer in answers}
    assert {answer.status_code for answer in answers} == {401}
    assert len(bodies) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer error="invalid_token"'}


def test_two_authorization_fields_are_a_400() -> None:
    """T29."""
    good = ("Authorization", f"Bearer {token()}")
    bare = client()
    del bare.headers["Authorization"]
    assert bare.get("/api/v1/keys", headers=[good, good]).status_code == 400


@pytest.mark.parametrize("place", ["query", "cookie"])
def test_a_token_anywhere_else_is_not_seen(place: str) -> None:
    """T29."""
    bare = client()
    del bare.headers["Authorization"]
    query = f"?access_token={token()}" if place == "query" else ""
    headers = {"Cookie": f"Authorization={token()}"} if place == "cookie" else {}
    assert bare.get(f"/api/v1/keys{query}", headers=headers).status_code == 401


def test_an_unknown_path_and_a_wrong_slash_are_a_404_without_a_redirect() -> None:
    """H11, H23: no Location is made from the Host header."""
    for path in ("/", "/api/v1", "/api/v1/uploads/", "//api/v1/uploads", "/healthz/", "/docs", "/.env", "/metrics"):
        answer = client().get(path, headers={"Host": "evil.test"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert "location" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "FOO", "OPTIONS"])
def test_another_method_is_a_405_that_lists_the_right_ones(method: str) -> None:
    answer = client().request(method, "/api/v1/uploads/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD")
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method"])
def test_no_header_overrides_the_method(header: str) -> None:
    """H01."""
    assert client().get("/healthz", headers={header: "DELETE"}).status_code == 200


def test_a_problem_has_all_its_members_under_all_their_names() -> None:
    problem = client().post("/api/v1/uploads", json={**FILE, "size": 0}).json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "requestId", "error", "message", "errors"}
    assert (problem["error"], problem["message"]) == (problem["title"], problem["detail"])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("é", False), ("", False)],
)
def test_a_request_id_of_the_client_is_kept_if_it_has_the_form_of_one(sent: str, kept: bool) -> None:
    """H29."""
    answer = client().get("/healthz", headers={b"X-Request-Id": sent.encode()})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])


def test_answers_with_a_url_are_kept_by_no_cache() -> None:
    """H26."""
    answer = client().post("/api/v1/uploads", json=FILE)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Authorization"


@pytest.mark.parametrize(
    "path", ["/healthz", "/openapi.yaml", "/static/broker-upload.js", "/nowhere", "/api/v1/uploads"]
)
def test_every_answer_is_of_the_type_it_says_and_tells_its_url_to_nobody(path: str) -> None:
    answer = client().get(path)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_stable_link_may_be_kept_by_its_holder_until_the_window_ends() -> None:
    control = client().get(f"/api/v1/downloads/{KEY}").headers["cache-control"]
    assert re.fullmatch(r"private, max-age=([1-9]|[1-9]\d|[12]\d\d|300)", control)
    off = client(environment={**ENVIRONMENT, "DOWNLOAD_URL_WINDOW": "0"})
    assert off.get(f"/api/v1/downloads/{KEY}").headers["cache-control"] == "no-store"


def test_the_location_of_a_created_upload_is_where_it_can_be_looked_at() -> None:
    here = client(MemoryObjectStore())
    answer = here.post("/api/v1/uploads", json=FILE)
    assert answer.headers["location"] == f"/api/v1/uploads/{answer.json()['uploadId']}"
    assert here.get(answer.headers["location"]).json()["status"] == "pending"


def records(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Our own lines."""
    return [json.loads(record.getMessage()) for record in caplog.records if record.name.startswith("broker")]


def test_a_request_leaves_one_line_without_path_query_or_token(caplog: pytest.LogCaptureFixture) -> None:
    """L03: the route's template is logged, not what stood in it."""
    caplog.set_level(logging.INFO)
    bearer = token()
    answer = client(bearer=bearer).get(f"/api/v1/downloads/{KEY}?filename=secret.mp3", headers={"X-Request-Id": "r-1"})
    (line,) = records(caplog)
    assert (line["event"], line["method"], line["route"]) == (
        "broker.request_completed",
        "GET",
        "/api/v1/downloads/{key:path}",
    )
    assert (line["status"], line["requestId"], line["sub"]) == (200, "r-1", "user-1")
    for secret in (bearer, KEY, "secret.mp3", "X-Amz-Signature", answer.json()["url"]):
        assert secret not in json.dumps(line)


def test_a_refusal_is_logged_with_its_code_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client(bearer="x.y.z").get("/api/v1/keys")
    (line,) = records(caplog)
    assert (line["code"], line["status"]) == ("unauthenticated", 401)
    assert line["reason"]


def test_a_strange_method_is_not_written_down(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client().request("X" * 40, "/healthz")
    assert records(caplog)[0]["method"] == "?"


def test_an_accident_is_answered_without_a_word_of_what_happened(caplog: pytest.LogCaptureFixture) -> None:
    """L02: type and place go to the log, the exception's own words nowhere."""
    caplog.set_level(logging.INFO)
    answer = client(bearer=token()).get(f"/api/v1/objects/{KEY}")  # the unasked store raises
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    accident, line = records(caplog)
    assert (accident["event"], accident["type"]) == ("broker.request_failed", "AssertionError")
    assert accident["requestId"] == line["requestId"] == answer.json()["requestId"]
    assert "a refused request reached the store" not in json.dumps([accident, line]) + answer.text


def test_without_cors_origins_no_page_is_let_in() -> None:
    """H25."""
    answer = client().get("/healthz", headers={"Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in answer.headers


def test_a_listed_origin_may_call_the_api_and_read_what_it_needs() -> None:
    app = client(environment={**ENVIRONMENT, "BROKER_CORS_ORIGINS": "https://app.example"})
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    answer = app.options("/api/v1/uploads", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    real = app.post("/api/v1/uploads", json=FILE, headers={"Origin": "https://app.example"})
    assert "X-Request-Id" in real.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in real.headers
    other = app.options("/api/v1/uploads", headers={**preflight, "Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in other.headers


def test_health_needs_nothing_and_tells_nothing() -> None:
    """L08."""
    assert client().get("/healthz").json() == {"status": "ok"}


def test_without_a_store_the_edge_stands_and_says_what_to_set() -> None:
    bare = client(environment={"JWT_SECRET": ENVIRONMENT["JWT_SECRET"]})
    assert bare.get("/readyz").json()["checks"]["configuration"] == "storage_not_configured"
    assert bare.get("/.well-known/jwks.json").json() == {"keys": []}
    assert bare.get("/api/v1/uploads/status").json() == {"r2Configured": False, "provider": "none"}
    answer = bare.post("/api/v1/uploads", json=FILE)
    assert (answer.status_code, answer.json()["error"]) == (503, "Cloud storage not configured")
    assert "R2_BUCKET_NAME" in answer.json()["message"]


def test_the_description_of_the_api_is_served() -> None:
    answer = client().get("/openapi.yaml")
    assert answer.headers["content-type"].startswith("application/yaml")
    assert answer.text.startswith("openapi: 3.1")


def test_the_receipts_keys_are_published_for_everybody() -> None:
    answer = client().get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert [key["crv"] for key in answer.json()["keys"]] == ["Ed25519"]


def test_a_store_is_told_from_none() -> None:
    assert client().get("/api/v1/uploads/status").json() == {"r2Configured": True, "provider": "cloudflare-r2"}


async def exchange(app: Any, *received: dict[str, Any], sent: list[dict[str, Any]]) -> None:
    """One request given by its messages, for what no well-behaved client sends."""
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


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_accident(caplog: pytest.LogCaptureFixture) -> None:
    """H28."""
    caplog.set_level(logging.INFO)
    sent: list[dict[str, Any]] = []
    await exchange(client().app, {"type": "http.disconnect"}, sent=sent)
    assert [line["event"] for line in records(caplog)] == ["broker.request_completed"]
    assert sent[0]["status"] == 400


async def test_an_accident_after_the_answer_began_is_logged_and_not_answered_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def torn(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError

    sent: list[dict[str, Any]] = []
    await exchange(RequestLog(torn), sent=sent)
    assert [line["event"] for line in records(caplog)] == ["broker.request_failed", "broker.request_completed"]
    assert len(sent) == 1
