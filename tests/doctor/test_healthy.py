"""Healthy deployments have no complaint, and an examination leaves nothing behind."""

import pytest

from broker.doctor.findings import Status
from tests.doctor.deployments import TWO_BUCKETS, complaints, examined, names
from tests.doctor.faulty_store import KEY, STAGING_KEY, FaultyStore, serving


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let deletions not wait for copies."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)


@pytest.mark.parametrize("changes", [{}, TWO_BUCKETS], ids=["one bucket", "two buckets"])
async def test_healthy_deployment(changes: dict[str, str]) -> None:
    """A deployment with one bucket or two has no complaint, and its buckets are empty afterwards."""
    store = FaultyStore(
        reach={
            KEY.access_key_id: frozenset({"media", "staging"}),
            STAGING_KEY.access_key_id: frozenset({"staging"}),
        }
    )
    with serving(store) as endpoint:
        report = await examined(endpoint, **changes)
    assert complaints(report) == {}
    assert report.status is Status.OK
    assert (store.objects, store.multiparts) == ({}, {})
    assert {"put", "confirm", "download", "deletion", "multipart-confirm", "cors", "lifecycle", "cleaning"} <= names(
        report
    )
