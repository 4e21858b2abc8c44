"""``/readyz``: what it looks at, what it answers, and what its line in the log says when a part is missing."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from broker import settings
from broker.service.assembly import assemble
from broker.store.port import ObjectStore
from broker.web.app import create_app
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
    """A client of a new application whose requests leave ``lines``."""
    app = create_app(
        assemble(settings.parse(environment), store=store, staging_store=staging),
        write_line=lambda line: lines.append(json.loads(line)),
    )
    return TestClient(app)


class Revoking(BaseHTTPRequestHandler):
    """A store that has no object, and no access for the key ids in ``revoked``."""

    revoked: frozenset[str] = frozenset()
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        """Answer by the key id that signed."""
        url = urlsplit(self.path)
        key_id = parse_qs(url.query)["X-Amz-Credential"][0].partition("/")[0]
        self.asked.append((url.path.split("/")[1], key_id))
        status, code = (403, "AccessDenied") if key_id in self.revoked else (404, "NoSuchKey")
        body = f"<Error><Code>{code}</Code><AWSAccessKeyId>{key_id}</AWSAccessKeyId></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Site:
    """Where the store is, and what it was asked."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.asked: list[tuple[str, str]] = []
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        self._server = server

    def revoke(self, *key_ids: str) -> None:
        """Give access to all others."""
        kind = {"revoked": frozenset(key_ids), "asked": self.asked}
        self._server.RequestHandlerClass = type("Handler", (Revoking,), kind)


@pytest.fixture
def site() -> Iterator[Site]:
    """A store on a socket."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Revoking) as server:
        server.daemon_threads = True
        place = Site(server)
        place.revoke()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield place
        server.shutdown()
        thread.join()


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look at the store is kept."""
    monkeypatch.setattr("broker.web.operations._CHECK_VALID_FOR", 0)


def test_readiness_asks_the_store_once_for_all_who_ask_at_once() -> None:
    """A look is kept for a moment, and the store is closed with the process."""
    store = MemoryObjectStore()
    with client(store) as app:
        answers = [app.get("/readyz") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json()["checks"] == ALL_WELL
    assert store.calls == {"ping": 1}
    assert store.is_closed


def test_readiness_says_which_part_is_missing(always: None) -> None:
    """S17: from the moment on at which the store takes the credentials no more, and until it does again."""
    store = MemoryObjectStore()
    with client(store) as app:
        assert app.get("/readyz").status_code == 200
        store.failing.add("ping")
        answer = app.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["store"]) == (503, "storage_unavailable")
        store.failing.clear()
        assert app.get("/readyz").status_code == 200


def test_the_line_has_what_failed_and_why_also_when_the_look_was_kept() -> None:
    """Who reads any of the lines needs no earlier one."""
    lines: Lines = []
    store = MemoryObjectStore()
    store.failing.add("ping")
    with deployment(lines, ENVIRONMENT, store) as app:
        answers = [app.get("/readyz") for _ in range(3)]
    assert [answer.json()["checks"] for answer in answers] == [AWAY] * 3
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
def test_the_line_names_every_check_that_failed(environment: dict[str, str], failed: dict[str, str]) -> None:
    """The reason is the store's alone."""
    lines: Lines = []
    with deployment(lines, environment, MemoryObjectStore()) as app:
        assert app.get("/readyz").status_code == 503
    (line,) = lines
    assert (line["failed"], "reason" in line) == (failed, False)


@pytest.mark.parametrize(("skew", "status"), [(None, 200), (59.9, 200), (-59.9, 200), (60.0, 503), (-300.0, 503)])
def test_a_clock_that_is_off_makes_the_process_unready(skew: float | None, status: int) -> None:
    """It signs URLs that live too short or that the store refuses; the line says by how much it is off."""
    lines: Lines = []
    store = MemoryObjectStore()
    store.skew = skew
    with deployment(lines, ENVIRONMENT, store) as app:
        answer = app.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["clock"] == "ok") == (status, status == 200)
    assert lines[0].get("reason") == (None if status == 200 else f"our clock is {skew:+.0f} s off the store's")


def test_the_line_of_a_process_that_is_ready_has_no_failure() -> None:
    """There is nothing to read in it."""
    lines: Lines = []
    with deployment(lines, ENVIRONMENT, MemoryObjectStore()) as app:
        assert app.get("/readyz").status_code == 200
    assert not {"failed", "reason"} & lines[0].keys()


def test_both_credentials_are_tried_on_the_buckets_that_they_are_for(site: Site) -> None:
    """The main ones on both buckets, those of the staging bucket on that alone."""
    with deployment([], {**STAGED, "R2_ENDPOINT": site.endpoint}) as app:
        answer = app.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (200, ALL_WELL)
    assert sorted(site.asked) == [("songs", "AKEDGE"), ("staged", "AKEDGE"), ("staged", "AKSTAGED")]


@pytest.mark.parametrize(
    ("revoked", "begins"),
    [("AKSTAGED", "with the staging bucket's credentials: GetObject returned 403"), ("AKEDGE", "GetObject returned")],
)
def test_revoked_credentials_make_the_process_unready_and_are_named_without_a_key(
    site: Site, always: None, revoked: str, begins: str
) -> None:
    """S17: until they are good again; uploads signed by them would be refused, and nothing else would show it."""
    lines: Lines = []
    with deployment(lines, {**STAGED, "R2_ENDPOINT": site.endpoint}) as app:
        assert app.get("/readyz").status_code == 200
        site.revoke(revoked)
        answer = app.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]) == (503, AWAY)
        site.revoke()
        assert app.get("/readyz").status_code == 200
    assert str(lines[1]["reason"]).startswith(begins)
    written = json.dumps(lines) + answer.text
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
def test_credentials_that_are_the_same_are_tried_once(site: Site, environment: dict[str, str]) -> None:
    """Each bucket is looked at once."""
    with deployment([], {**environment, "R2_ENDPOINT": site.endpoint}) as app:
        assert app.get("/readyz").status_code == 200
    assert len(site.asked) == len({bucket for bucket, _ in site.asked})


@pytest.mark.parametrize("has_staging", [True, False])
def test_a_store_that_stands_in_has_a_second_only_if_that_is_given_too(has_staging: bool) -> None:
    """Neither is made from the settings, and both are closed with the process."""
    store, staging = MemoryObjectStore(), MemoryObjectStore()
    with deployment([], STAGED, store, staging if has_staging else None) as app:
        assert app.get("/readyz").status_code == 200
    assert (store.calls["ping"], staging.calls["ping"]) == (2, int(has_staging))
    assert (store.is_closed, staging.is_closed) == (True, has_staging)
