"""A confirm that reaches its deadline, over HTTP: 202, Retry-After and the progress."""

import pytest
from starlette.testclient import TestClient

from broker.core.limits import PUT_MAX
from broker.core.parts import plan
from broker.service import promotion
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, client

SIZE = PUT_MAX + 1


@pytest.fixture
def store() -> MemoryObjectStore:
    """Return a store whose objects need no bytes."""
    return MemoryObjectStore()


@pytest.fixture
def user(store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Return a client of a broker whose confirms reach their deadline at once."""
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    return client(store, environment={**ENVIRONMENT, "UPLOAD_MAX_BYTES": "6GiB"})


def uploaded(user: TestClient, store: MemoryObjectStore) -> str:
    """Return the id of an upload whose parts are all stored."""
    declared = {"filename": "set.mp3", "contentType": "audio/mpeg", "size": SIZE}
    made = user.post("/api/v1/uploads", json=declared).json()
    parts = plan(SIZE)
    for number in parts.numbers():
        store.put_part("upload-1", number, mp3() if number == 1 else b"", size=parts.size_of(number))
    return str(made["uploadId"])


def test_long_confirm_returns_202(user: TestClient, store: MemoryObjectStore) -> None:
    """A confirm that reaches its deadline returns 202 with Retry-After and its progress; later confirms finish."""
    upload_id = uploaded(user, store)

    response = user.post(f"/api/v1/uploads/{upload_id}/confirm")

    copied = promotion.CONCURRENT_RANGES_PER_OBJECT * promotion.RANGE
    assert (response.status_code, response.headers["retry-after"]) == (202, "1")
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {"uploadId": upload_id, "status": "promoting", "size": SIZE, "promotedBytes": copied}
    many = user.post("/api/v1/uploads/confirm", json={"uploadIds": [upload_id]})
    assert many.json()["results"] == [{**response.json(), "promotedBytes": 2 * copied}]
    while (response := user.post(f"/api/v1/uploads/{upload_id}/confirm")).status_code == 202:
        pass
    assert response.json()["status"] == "ready"
