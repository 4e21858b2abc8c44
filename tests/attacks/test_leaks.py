"""Data that responses, header fields and the log must not contain: a test for each row of the catalogue.

The canary of a whole run at level DEBUG is an end-to-end test.
"""

import json
import logging
import uuid
from typing import Any

import pytest
from starlette.testclient import TestClient

from broker.auth.jwks_client import JwksClient
from broker.core.model import ObjectRef
from broker.crypto.public_key import jwk_key
from broker.errors import StorageUnavailableError
from broker.metrics.counters import METHODS, NO_ROUTE, OTHER_METHOD
from broker.settings.token_rules import JwksLocation
from broker.web.routes import RESOURCES
from tests.auth.minting import P256, RSA, document, jwk
from tests.metrics.scraped import scraped
from tests.metrics.scrapes import requests, samples, scrape
from tests.ports import free_ports
from tests.store.calls import store_at
from tests.store.wire import answer, says, wire
from tests.web.application import ENVIRONMENT, KEY, client, token
from tests.web.running_server import GOOD_PATH, RunningServer, request

HIDDEN = (
    "/docs /redoc /debug /.env /.git/config /metrics /server-status /console /openapi.json /admin /static/../app.py"
)
HIDDEN_SETTINGS = ("R2_SECRET_ACCESS_KEY", "JWT_SECRET")


@pytest.mark.parametrize("path", HIDDEN.split())
def test_l09_debug_pages_do_not_exist(path: str) -> None:
    """Common debug and administration paths are a 404."""
    found = client().get(path)
    assert (found.status_code, found.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("query", ["debug=1", "DEBUG=true", "trace=1"])
def test_l09_debug_parameters_are_refused(query: str) -> None:
    """A parameter that would switch on debugging is refused."""
    accident = client().get(f"/api/v1/objects/{KEY}?{query}")
    assert accident.status_code == 422


@pytest.mark.parametrize("path", [GOOD_PATH, "/healthz", "/nowhere"])
def test_l10_response_does_not_name_the_server(path: str) -> None:
    """No response has a header field that names the server software."""
    with RunningServer() as server:
        for data in (request("GET", path), b"nonsense\r\n\r\n"):
            (reply,) = server.replies_to(data)
            assert not reply.fields.keys() & {"server", "x-powered-by", "via"}


SPOILED: list[dict[str, Any]] = [
    {**jwk(RSA, "one"), "d": "Y2FuYXJ5", "alg": "nonsense"},
    {"kty": "oct", "kid": "one", "k": "Y2FuYXJ5"},
    {"kid": "one", "d": "Y2FuYXJ5"},
    {**jwk(P256, "one"), "d": "Y2FuYXJ5"},
]


@pytest.mark.parametrize("spoiled", SPOILED, ids=["private", "secret", "no kind", "private curve"])
async def test_l05_bad_key_is_not_logged(spoiled: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """The content of an invalid key is in neither the error nor the log."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ValueError) as caught:
        jwk_key(spoiled)
    assert "Y2FuYXJ5" not in repr(caught.value)
    async with wire(says(answer(200, body=document(spoiled)))) as server:
        keys = JwksClient(JwksLocation(f"http://127.0.0.1:{server.port}/"))
        assert not await keys.refresh()
    assert caplog.records
    assert "Y2FuYXJ5" not in caplog.text


async def test_l06_store_failure_has_no_details() -> None:
    """The error for a failed store holds no address, bucket, key or credential."""
    async with store_at("http://127.0.0.1:9") as store:
        with pytest.raises(StorageUnavailableError) as caught:
            await store.head(ObjectRef("bucket-canary", "incoming/key-canary.mp3"))
    said = json.dumps([str(caught.value), caught.value.title, caught.value.code])
    for hidden in ("127.0.0.1", "bucket-canary", "key-canary", "AKCANARY", "X-Amz"):
        assert hidden not in said


def hostile(app: TestClient, count: int) -> None:
    """Send requests with a new canary in every value that a client can choose."""
    for index in range(count):
        canary = f"canary-{index}"
        bearer = {"Authorization": f"Bearer {token(canary)}", "X-Request-Id": canary}
        app.get(f"/api/v1/downloads/media/{uuid.uuid4()}.mp3?filename={canary}", headers=bearer)
        app.get(f"/api/v1/uploads/{canary}", headers=bearer)
        app.get(f"/api/v1/objects/{canary}", headers={"Authorization": f"Bearer {canary}"})
        app.get(f"/{canary}/%22,route=%22{canary}", headers={"Host": canary, "User-Agent": canary})
        app.request(f"CANARY{index}", "/api/v1/uploads", headers=bearer)
        app.request(f"CANARY{index}", f"/{canary}", headers=bearer)


def test_l07_metrics_labels_are_bounded() -> None:
    """No metric label is chosen by a client, and requests do not add label values."""
    port = free_ports(1)
    with scraped(port) as app:
        hostile(app, 2)
        before = scrape(port)
        hostile(app, 50)
        after = scrape(port)
    assert samples(before).keys() == samples(after).keys()
    assert sum(requests(samples(after)).values()) == 6 * 52
    templates = {*RESOURCES, NO_ROUTE}
    for route, method, status in requests(samples(after)):
        assert route in templates
        assert method in METHODS | {OTHER_METHOD}
        assert 200 <= int(status) < 600
    for hidden in ("canary", "media/", "Bearer", "eyJ", *(ENVIRONMENT[name] for name in HIDDEN_SETTINGS)):
        assert hidden.lower() not in after.lower()


def test_l12_printed_application_has_no_secret() -> None:
    """The printed application and its attributes contain no secret."""
    app: Any = client().app
    shown = repr(app) + repr(vars(app))
    for name in HIDDEN_SETTINGS:
        assert ENVIRONMENT[name] not in shown
