"""A confirm that cannot end in time, over HTTP: 202, when to come again, and how far it is."""

import pytest
from starlette.testclient import TestClient

from broker.core.limits import PUT_MAX
from broker.core.parts import plan
from broker.service import promotion
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, client

SIZE = PUT_MAX + 1


@pytest.fixture
def store() -> MemoryObjectStore:
    """Where objects need no bytes."""
    return MemoryObjectStore()


@pytest.fixture
def user(store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of a broker whose confirms are over at once."""
    monkeypatch.setattr(promotion, "DEADLINE", 0)
    return client(store, environment={**ENVIRONMENT, "UPLOAD_MAX_BYTES": "6GiB"})


def uploaded(user: TestClient, store: MemoryObjectStore) -> str:
    """The id of an upload whose parts are all there."""
    declared = {"filename": "set.mp3", "contentType": "audio/mpeg", "size": SIZE}
    made = user.post("/api/v1/uploads", json=declared).json()
    parts = plan(SIZE)
    for number in parts.numbers():
        store.put_part("upload-1", number, b"ID3" if number == 1 else b"", size=parts.size_of(number))
    return str(made["uploadId"])


def test_a_confirm_that_needs_more_time_says_when_to_come_again(user: TestClient, store: MemoryObjectStore) -> None:
    upload_id = uploaded(user, store)

    answer = user.post(f"/api/v1/uploads/{upload_id}/confirm")

    copied = promotion.CONCURRENCY * promotion.RANGE
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {"uploadId": upload_id, "status": "promoting", "size": SIZE, "promotedBytes": copied}
    many = user.post("/api/v1/uploads/confirm", json={"uploadIds": [upload_id]})
    assert many.json()["results"] == [{**answer.json(), "promotedBytes": 2 * copied}]
    while (answer := user.post(f"/api/v1/uploads/{upload_id}/confirm")).status_code == 202:
        pass
    assert answer.json()["status"] == "ready"
