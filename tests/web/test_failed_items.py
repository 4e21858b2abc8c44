"""The log line of a batch names each failed item with its code and reason, but without an id or key."""

import json

import pytest

from broker.core.object_keys import staged_twin
from tests.stores.memory import MemoryObjectStore

from .application import KEY, client, token


def line(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    """Return the line of the last request."""
    found: dict[str, object] = json.loads([r for r in caplog.records if r.name == "broker.access"][-1].getMessage())
    return found


def test_failed_confirms_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The line of a batch of confirms has each failed item by its index."""
    caplog.set_level("INFO")
    store = MemoryObjectStore()
    store.failing = {"head"}
    with client(store) as app:
        made = app.post("/api/v1/uploads", json={"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}).json()
        app.post("/api/v1/uploads/confirm", json={"uploadIds": ["unknown", made["uploadId"]]})
    assert line(caplog)["failed"] == [
        {"item": 0, "code": "not_found"},
        {"item": 1, "code": "storage_unavailable", "reason": "head fails in this test"},
    ]
    assert made["uploadId"] not in json.dumps(line(caplog))


def test_failed_deletes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The line of a bulk delete has each failed item, whether the tombstone or the removal failed."""
    caplog.set_level("INFO")
    store = MemoryObjectStore()
    keys = [KEY, KEY.replace("0b9c", "0000"), KEY.replace("0b9c", "1111")]
    store.undeletable = {staged_twin(keys[0]), keys[2]}
    with client(store, bearer=token(scope="broker:service")) as app:
        results = app.post("/api/v1/objects/delete", json={"keys": keys}).json()["results"]
    assert [result["status"] for result in results] == ["failed", "deleted", "failed"]
    assert line(caplog)["failed"] == [
        {"item": 0, "code": "storage_unavailable", "reason": "put_empty fails for this key"},
        {"item": 2, "code": "storage_unavailable", "reason": "InternalError"},
    ]


def test_successful_batch_logs_no_failures(caplog: pytest.LogCaptureFixture) -> None:
    """The line of a batch without failures has no list of them."""
    caplog.set_level("INFO")
    with client(MemoryObjectStore(), bearer=token(scope="broker:service")) as app:
        app.post("/api/v1/objects/delete", json={"keys": [KEY]})
    assert "failed" not in line(caplog)
