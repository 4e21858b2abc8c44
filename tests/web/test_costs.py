"""The rate limit counts the calls to the store, not only the requests."""

from typing import Any

import pytest

from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, ID, KEY, client

FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
IN_PARTS = {**FILE, "multipart": True}
RETRY = {"Idempotency-Key": "k"}
LIMIT = 1000


def cost(method: str, path: str, environment: dict[str, str] | None = None, **options: Any) -> int:
    """Return the units of a minute's rate limit that one call takes, from the number of calls that pass."""
    settings = {**ENVIRONMENT, "BROKER_RATE_LIMIT": str(LIMIT), **(environment or {})}
    with client(MemoryObjectStore(), environment=settings) as app:
        calls = 0
        while app.request(method, f"/api/v1{path}", **options).status_code != 429:
            calls += 1
        return round(LIMIT / calls)


@pytest.mark.parametrize(
    ("method", "path", "options", "units"),
    [
        ("GET", f"/objects/{KEY}", {}, 2),
        ("DELETE", f"/objects/{KEY}", {}, 7),
        ("DELETE", "/uploads/an-id", {}, 7),
        ("GET", "/uploads/an-id", {}, 4),
        ("POST", "/uploads/an-id/confirm", {}, 5),
        ("POST", "/uploads/confirm", {"json": {"uploadIds": ["an-id"] * 20}}, 100),
        ("POST", "/uploads", {"json": IN_PARTS}, 2),
        ("POST", "/uploads", {"json": IN_PARTS, "headers": RETRY}, 4),
        ("POST", "/uploads", {"json": {"files": [IN_PARTS] * 10}}, 20),
        ("POST", "/uploads", {"json": {"files": [FILE] * 10}}, 10),
        ("POST", "/downloads", {"json": {"keys": [KEY] * 50}}, 50),
    ],
)
def test_call_costs_its_store_calls(method: str, path: str, options: Any, units: int) -> None:
    """A call costs one unit for the request, one for each further item, and one for each call to the store."""
    assert cost(method, path, **options) == pytest.approx(units, rel=0.1)


def test_owner_check_costs_a_store_call() -> None:
    """If links depend on the owner, each key costs one call to the store."""
    owner = {"DOWNLOAD_ACCESS": "owner"}
    assert cost("POST", "/downloads", owner, json={"keys": [KEY] * 50}) == pytest.approx(100, rel=0.1)
    assert cost("GET", f"/downloads/{KEY}", owner) == pytest.approx(2, rel=0.1)


def test_expensive_batch_takes_the_whole_limit() -> None:
    """A batch that costs more than a full limit passes once, and leaves nothing."""
    settings = {**ENVIRONMENT, "BROKER_RATE_LIMIT": "50"}
    with client(MemoryObjectStore(), environment=settings) as app:
        codes = [app.post("/api/v1/uploads/confirm", json={"uploadIds": [ID] * 100}).status_code for _ in range(2)]
    assert codes == [200, 429]
