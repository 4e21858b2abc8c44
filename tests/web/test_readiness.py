"""``/readyz``: its checks, its response and its log line."""

import json
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from broker import settings
from broker.service.assembly import assemble
from broker.store.port import ObjectStore
from broker.web.app import create_app
from tests.http_server import GetHandler, serving, url_of
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, client

Lines = list[dict[str, object]]
STAGED = {
    **ENVIRONMENT,
    "R2_STAGING_BUCKET_NAME": "staged",
    "R2_STAGING_ACCESS_KEY_ID": "AKSTAGED",
    "R2_STAGING_SECRET_ACCESS_KEY": "the canary staging secret",
}
ALL_WELL = {"configuration": "ok", "store": "ok", "keys": "ok", "clock": "ok"}
AWAY = {**ALL_WELL, "store": "storage_unavailable"}


def deployment(
    lines: Lines, environment: dict[str, str], store: ObjectStore | None = None, staging: ObjectStore | None = None
) -> TestClient:
    """Return a client of a new application whose requests add to ``lines``."""
    app = create_app(
        assemble(settings.parse(environment), store=store, staging_store=staging),
        write_line=lambda line: lines.append(json.loads(line)),
    )
    return TestClient(app)


class RevokingHandler(GetHandler):
    """A store that has no object, and refuses the key ids in ``revoked``."""

    revoked: frozenset[str] = frozenset()
    received: list[tuple[str, str]]

    def get(self) -> None:
        """Respond by the key id that signed."""
        url = urlsplit(self.path)
        key_id = parse_qs(url.query)["X-Amz-Credential"][0].partition("/")[0]
        self.received.append((url.path.split("/")[1], key_id))
        status, code = (403, "AccessDenied") if key_id in self.revoked else (404, "NoSuchKey")
        body = f"<Error><Code>{code}</Code><AWSAccessKeyId>{key_id}</AWSAccessKeyId></Error>".encode()
        self.respond(status, body, "application/xml")


class RunningStore:
    """A running store, with the requests that it received."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.received: list[tuple[str, str]] = []
        self.endpoint = url_of(server)
        self._server = server

    def revoke(self, *key_ids: str) -> None:
        """Refuse these key ids, and accept all others."""
        kind = {"revoked": frozenset(key_ids), "received": self.received}
        self._server.RequestHandlerClass = type("Handler", (RevokingHandler,), kind)


@pytest.fixture
def site() -> Iterator[RunningStore]:
    """Yield a store that listens on a socket."""
    with serving(RevokingHandler) as server:
        place = RunningStore(server)
        place.revoke()
        yield place


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the cache of the store check."""
    monkeypatch.setattr("broker.web.operations._STATE_LIFETIME", 0)


def test_store_check_is_cached() -> None:
    """Readiness checks in quick succession share one call to the store, which is closed with the process."""
    store = MemoryObjectStore()
    with client(store) as app:
        responses = [app.get("/readyz") for _ in range(5)]
    assert {response.status_code for response in responses} == {200}
    assert responses[0].json()["checks"] == ALL_WELL
    assert store.calls == {"ping": 1}
    assert store.is_closed


def test_s17_failed_check_is_named(uncached: None) -> None:
    """Readiness names the store while it fails, and recovers with it."""
    store = MemoryObjectStore()
    with client(store) as app:
        assert app.get("/readyz").status_code == 200
        store.failing.add("ping")
        response = app.get("/readyz")
        assert (response.status_code, response.json()["checks"]["store"]) == (503, "storage_unavailable")
        store.failing.clear()
        assert app.get("/readyz").status_code == 200


def test_cached_failure_is_logged_with_reason() -> None:
    """Every line has the failed check and its reason, also if the result was cached."""
    lines: Lines = []
    store = MemoryObjectStore()
    store.failing.add("ping")
    with deployment(lines, ENVIRONMENT, store) as app:
        responses = [app.get("/readyz") for _ in range(3)]
    assert [response.json()["checks"] for response in responses] == [AWAY] * 3
    assert store.calls == {"ping": 1}
    assert [line["failed"] for line in lines] == [{"store": "storage_unavailable"}] * 3
    assert len({line["reason"] for line in lines}) == 1
    assert lines[0]["reason"]


@pytest.mark.parametrize(
    ("environment", "failed"),
    [
        (
            {"JWT_SECRET": ENVIRONMENT["JWT_SECRET"]},
            {"configuration": "storage_not_configured", "store": "storage_not_configured"},
        ),
        (
            {**ENVIRONMENT, "JWT_SECRET": "", "JWT_JWKS_URL": "http://127.0.0.1:1/keys"},
            {"keys": "identity_unavailable"},
        ),
    ],
    ids=["configuration", "keys"],
)
def test_line_has_every_failed_check(environment: dict[str, str], failed: dict[str, str]) -> None:
    """The line has every failed check, and a reason only for the store's."""
    lines: Lines = []
    with deployment(lines, environment, MemoryObjectStore()) as app:
        assert app.get("/readyz").status_code == 503
    (line,) = lines
    assert (line["failed"], "reason" in line) == (failed, False)


@pytest.mark.parametrize(("skew", "status"), [(None, 200), (59.9, 200), (-59.9, 200), (60.0, 503), (-300.0, 503)])
def test_clock_skew_makes_process_unready(skew: float | None, status: int) -> None:
    """A clock that differs by 60 seconds or more makes the process unready, and the line has the difference."""
    lines: Lines = []
    store = MemoryObjectStore()
    store.skew = skew
    with deployment(lines, ENVIRONMENT, store) as app:
        response = app.get("/readyz")
    assert (response.status_code, response.json()["checks"]["clock"] == "ok") == (status, status == 200)
    assert lines[0].get("reason") == (None if status == 200 else f"our clock is {skew:+.0f} s off the store's")


def test_ready_process_logs_no_failure() -> None:
    """The line of a ready process has neither failed checks nor a reason."""
    lines: Lines = []
    with deployment(lines, ENVIRONMENT, MemoryObjectStore()) as app:
        assert app.get("/readyz").status_code == 200
    assert not {"failed", "reason"} & lines[0].keys()


def test_credentials_are_checked_on_their_buckets(site: RunningStore) -> None:
    """The main credentials are checked on both buckets, and those of staging on the staging bucket alone."""
    with deployment([], {**STAGED, "R2_ENDPOINT": site.endpoint}) as app:
        response = app.get("/readyz")
    assert (response.status_code, response.json()["checks"]) == (200, ALL_WELL)
    assert sorted(site.received) == [("songs", "AKEDGE"), ("staged", "AKEDGE"), ("staged", "AKSTAGED")]


@pytest.mark.parametrize(
    ("revoked", "begins"),
    [("AKSTAGED", "with the staging bucket's credentials: GetObject returned 403"), ("AKEDGE", "GetObject returned")],
)
def test_s17_revoked_credentials_make_process_unready(
    site: RunningStore, uncached: None, revoked: str, begins: str
) -> None:
    """Revoked credentials make the process unready until they are valid again, and no secret or key id is shown."""
    lines: Lines = []
    with deployment(lines, {**STAGED, "R2_ENDPOINT": site.endpoint}) as app:
        assert app.get("/readyz").status_code == 200
        site.revoke(revoked)
        response = app.get("/readyz")
        assert (response.status_code, response.json()["checks"]) == (503, AWAY)
        site.revoke()
        assert app.get("/readyz").status_code == 200
    assert str(lines[1]["reason"]).startswith(begins)
    written = json.dumps(lines) + response.text
    for secret in ("AKSTAGED", "AKEDGE", "canary", site.endpoint):
        assert secret not in written


@pytest.mark.parametrize(
    "environment",
    [
        ENVIRONMENT,
        {**ENVIRONMENT, "R2_STAGING_BUCKET_NAME": "staged"},
        {
            **STAGED,
            "R2_STAGING_ACCESS_KEY_ID": ENVIRONMENT["R2_ACCESS_KEY_ID"],
            "R2_STAGING_SECRET_ACCESS_KEY": ENVIRONMENT["R2_SECRET_ACCESS_KEY"],
        },
    ],
    ids=["one bucket", "two buckets", "the same twice"],
)
def test_equal_credentials_are_checked_once(site: RunningStore, environment: dict[str, str]) -> None:
    """Equal credentials are checked once on each bucket."""
    with deployment([], {**environment, "R2_ENDPOINT": site.endpoint}) as app:
        assert app.get("/readyz").status_code == 200
    assert len(site.received) == len({bucket for bucket, _ in site.received})


@pytest.mark.parametrize("has_staging", [True, False])
def test_injected_store_needs_injected_staging(has_staging: bool) -> None:
    """With an injected store, a staging store is used only if it is injected too, and both are closed."""
    store, staging = MemoryObjectStore(), MemoryObjectStore()
    with deployment([], STAGED, store, staging if has_staging else None) as app:
        assert app.get("/readyz").status_code == 200
    assert (store.calls["ping"], staging.calls["ping"]) == (2, int(has_staging))
    assert (store.is_closed, staging.is_closed) == (True, has_staging)
