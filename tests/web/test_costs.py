"""The rate limit counts the calls to the store, not only the requests."""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from broker.service import assembly
from broker.service.memory_rate_limiter import MemoryRateLimiter
from broker.web.routes import API, RESOURCES
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, ID, KEY, client, path_of

FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
IN_PARTS = {**FILE, "multipart": True}
RETRY = {"Idempotency-Key": "k"}
LIMIT = 1200
MP3 = mp3(100)


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass in the rate limit, so that it is not refilled while a test counts."""
    monkeypatch.setattr(assembly, "MemoryRateLimiter", partial(MemoryRateLimiter, clock=lambda: 0.0))


def cost(method: str, path: str, environment: dict[str, str] | None = None, **options: Any) -> int:
    """Return the units of a minute's rate limit that one call takes, from the number of calls that pass."""
    settings = {**ENVIRONMENT, "BROKER_RATE_LIMIT": str(LIMIT), **(environment or {})}
    with client(MemoryObjectStore(), environment=settings) as app:
        calls = 0
        url = path if path.startswith(("/s3", "/c")) else f"{API}{path}"
        while app.request(method, url, **options).status_code != 429:
            calls += 1
        return round(LIMIT / calls)


COSTS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", f"/objects/{KEY}", {}, 2),
    ("DELETE", f"/objects/{KEY}", {}, 7),
    ("DELETE", "/uploads/an-id", {}, 7),
    ("GET", "/uploads/an-id", {}, 4),
    ("POST", "/uploads/an-id/confirm", {}, 6),
    ("POST", "/uploads/confirm", {"json": {"uploadIds": ["an-id"] * 20}}, 120),
    ("POST", "/uploads", {"json": IN_PARTS}, 2),
    ("POST", "/uploads", {"json": IN_PARTS, "headers": RETRY}, 4),
    ("POST", "/uploads/batch", {"json": {"files": [IN_PARTS] * 10}}, 20),
    ("POST", "/uploads/batch", {"json": {"files": [FILE] * 10}}, 10),
    ("POST", "/downloads", {"json": {"keys": [KEY] * 50}}, 50),
    ("POST", "/uploads/media", {"files": {"file": ("a.mp3", MP3, "audio/mpeg")}}, 4),
    ("POST", "/uploads/media/batch", {"files": [("files", ("a.mp3", MP3, "audio/mpeg"))] * 3}, 12),
]
"""Method, path, options of the request, and the units that it costs."""

FREE = {
    ("POST", "/uploads/an-id/parts"): "signing calls no store",
    ("GET", f"/downloads/{KEY}"): "signing calls no store, unless links depend on the owner (a test below)",
    ("GET", "/keys"): "it calls no store",
    ("POST", "/objects/delete"): "it is for services, which have no limit",
}
"""Calls that cost the unit of the request alone, each with the reason."""


def test_every_route_has_a_cost() -> None:
    """Each method of each route has a row in the table of costs, or is listed as free."""
    routes = {(method, path_of(path).removeprefix(API)) for path, methods in RESOURCES.items() for method in methods}
    stated = {(method, path) for method, path, *_ in COSTS}
    assert routes - stated - FREE.keys() == set(), "add a row to COSTS, or to FREE with the reason"
    assert FREE.keys() <= routes - stated


@pytest.mark.parametrize(("method", "path", "options", "units"), COSTS)
def test_call_costs_its_store_calls(method: str, path: str, options: Any, units: int) -> None:
    """A call costs one unit for the request, one for each further item, and one for each call to the store."""
    assert cost(method, path, **options) == units


def test_owner_check_costs_a_store_call() -> None:
    """If links depend on the owner, each key costs one call to the store."""
    owner = {"DOWNLOAD_ACCESS": "owner"}
    assert cost("POST", "/downloads", owner, json={"keys": [KEY] * 50}) == 100
    assert cost("GET", f"/downloads/{KEY}", owner) == 2


def test_completion_costs_as_much_as_a_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion of Uppy costs what a confirm costs, also by a session."""
    monkeypatch.setattr("broker.web.uppy_access.PATIENCE", 0)
    parts: Any = {"parts": [{"PartNumber": 1, "ETag": "a"}]}
    with client(MemoryObjectStore()) as app:
        session = urlsplit(app.post("/api/v1/sessions").json()["endpoint"]).path
    for below in ("/s3", f"{session}/s3"):
        assert cost("POST", f"{below}/multipart/an-id/complete?key={KEY}", json=parts) == 6


def test_expensive_batch_takes_the_whole_limit() -> None:
    """A batch that costs more than a full limit passes once, and leaves nothing."""
    settings = {**ENVIRONMENT, "BROKER_RATE_LIMIT": "50"}
    with client(MemoryObjectStore(), environment=settings) as app:
        codes = [app.post("/api/v1/uploads/confirm", json={"uploadIds": [ID] * 100}).status_code for _ in range(2)]
    assert codes == [200, 429]
