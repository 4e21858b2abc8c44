"""Responses to pages of other origins: every response of a listed origin can be read, and no other."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from broker.web.cors import CorsFields, CorsPreflight, CorsRules

from .application import ENVIRONMENT, KEY, client, token

ORIGIN = "https://app.example"
HYBRID = (
    "capacitor://localhost",
    "tauri://localhost",
    "app://-",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
)
LISTED = {**ENVIRONMENT, "BROKER_CORS_ORIGINS": ", ".join((ORIGIN, *HYBRID))}
ANY = {**ENVIRONMENT, "BROKER_CORS_ORIGINS": "*"}
FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,traceparent"}

REQUESTS = {
    "201": ("POST", "/api/v1/uploads"),
    "200 without a token": ("GET", "/healthz"),
    "200 of a file": ("GET", "/static/broker-upload.js"),
    "404 of a path": ("GET", "/nowhere"),
    "404 of an upload": ("GET", "/api/v1/uploads/x"),
    "405": ("PUT", "/api/v1/uploads"),
    "405 of a file": ("POST", "/static/broker-upload.js"),
    "415": ("POST", "/api/v1/downloads"),
    "500": ("GET", f"/api/v1/objects/{KEY}"),
}


@pytest.mark.parametrize("origin", [ORIGIN, *HYBRID])
@pytest.mark.parametrize("name", REQUESTS)
def test_listed_origin_can_read_every_response(name: str, origin: str) -> None:
    """Every response to a listed origin has the CORS fields, also those to errors and unhandled exceptions."""
    method, path = REQUESTS[name]
    body = {"json": FILE} if name == "201" else {}
    response = client(environment=LISTED).request(method, path, headers={"Origin": origin}, **body)  # type: ignore[arg-type]  # by name
    assert str(response.status_code) == name[:3]
    assert response.headers.get_list("access-control-allow-origin") == [origin]
    assert (
        response.headers["access-control-expose-headers"]
        == "Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
    )
    (vary,) = response.headers.get_list("vary")
    assert vary in ("Origin", "Authorization, Origin", "Accept-Encoding, Origin")
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", f"{ORIGIN}.evil.test", f"{ORIGIN}:8443", "http://app.example", ""]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_h25_other_origin_gets_no_permission(origin: str, method: str) -> None:
    """An origin that is not listed gets no CORS fields, and a preflight of it is an ordinary OPTIONS request."""
    response = client(environment=LISTED).request(method, "/healthz", headers={"Origin": origin, **PREFLIGHT})
    assert response.status_code == (200 if method == "GET" else 405)
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert "Origin" in response.headers["vary"]


def test_response_without_origin_varies_by_it() -> None:
    """A response to a client that is not a page may be cached, so it says that it depends on the Origin."""
    assert client(environment=LISTED).get("/openapi.yaml").headers["vary"].endswith("Origin")
    assert "Origin" not in client().get("/openapi.yaml").headers.get("vary", "")


def test_any_origin_is_allowed_by_a_star() -> None:
    """With ``*`` every page may call the API, and no response depends on the origin."""
    app = client(environment=ANY)
    response = app.get("/healthz", headers={"Origin": "https://any.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "Origin" not in response.headers.get("vary", "")
    assert "access-control-allow-origin" not in app.get("/healthz").headers
    assert app.options("/nowhere", headers={"Origin": "https://any.example", **PREFLIGHT}).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/uploads", "/nowhere", "/static/broker-upload.js"])
def test_e07_preflight_lists_what_is_allowed(path: str) -> None:
    """A preflight needs no token, and lists methods and fields, whatever it requests."""
    app = client(environment=LISTED)
    del app.headers["Authorization"]
    for requested in ("authorization", "x-unlisted", "traceparent, x-unlisted", ""):
        fields = {"Origin": ORIGIN, **PREFLIGHT, "Access-Control-Request-Headers": requested}
        response = app.options(path, headers=fields)
        allowed = response.headers["access-control-allow-headers"]
        assert (response.status_code, response.text) == (200, "")
        assert {"Authorization", "traceparent", "tracestate", "baggage", "sentry-trace"} <= {*allowed.split(", ")}
        assert response.headers["access-control-allow-methods"] == "GET, HEAD, POST, DELETE"
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["x-request-id"]


@pytest.mark.parametrize("missing", ["Origin", "Access-Control-Request-Method"])
def test_options_is_not_always_a_preflight(missing: str) -> None:
    """An OPTIONS request that lacks a field of a preflight is an ordinary request."""
    fields = {"Origin": ORIGIN, **PREFLIGHT}
    del fields[missing]
    assert client(environment=LISTED).options("/api/v1/uploads", headers=fields).status_code == 405


def test_expired_token_is_readable() -> None:
    """A page can read that its token is not accepted."""
    response = client(environment=LISTED, bearer=token(exp=1)).get("/api/v1/keys", headers={"Origin": ORIGIN})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (401, ORIGIN)


async def test_other_scopes_pass_through() -> None:
    """Scopes that are not HTTP requests reach the application."""
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    async def unused(*_: object) -> None:
        return None

    rules = CorsRules([ORIGIN])
    for middleware in (CorsFields, CorsPreflight):
        await middleware(app, rules)({"type": "lifespan"}, unused, unused)  # type: ignore[arg-type]  # unused
    assert reached == ["lifespan"] * 2


async def test_several_vary_fields_become_one() -> None:
    """A response with Vary fields of its own gets one that has all values."""
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    response = PlainTextResponse("")
    response.raw_headers += [(b"vary", b"Accept"), (b"vary", b"Cookie")]
    app = CorsFields(response, CorsRules([ORIGIN]))
    await app({"type": "http", "method": "GET", "headers": []}, None, send)  # type: ignore[arg-type]  # not called
    headers = sent[0]["headers"]
    assert isinstance(headers, list)
    assert [value for name, value in headers if name == b"vary"] == [b"Accept, Cookie, Origin"]
