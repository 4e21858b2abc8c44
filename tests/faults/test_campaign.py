"""A short run of the campaign without rules on time, because tests run in parallel."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.e2e.processes import Broker
from tests.stores.place import Place

from . import identity_rows
from .campaign import beside
from .identity_rows import ONE_KEY, watched
from .journal import OPENED, Journal
from .standing import StandingProxy
from .steady import Client, Load, Result, steady
from .store_rows import BLACK_HOLE, FAULTS, NO_TAG, ONCE, ONE_OBJECT, REFUSES_ONLY, Runner, settings, spread
from .table import percentile, signing, statuses


@pytest.fixture
def proxy(seaweedfs: Place) -> Iterator[StandingProxy]:
    """Start a proxy to a real store."""
    address = urlsplit(seaweedfs.endpoint)
    with StandingProxy(address.hostname or "", address.port or 0) as running:
        yield running


@pytest.mark.parametrize("name", [BLACK_HOLE, "never responds to copies"])
async def test_silent_store_does_not_stop_signing(
    name: str, tmp_path_factory: pytest.TempPathFactory, seaweedfs: Place, proxy: StandingProxy
) -> None:
    """While the store is silent, all signing succeeds and confirms return 503."""
    with Broker(tmp_path_factory.mktemp("broker"), settings(seaweedfs, proxy.endpoint)) as broker:
        async with steady(broker.url, seaweedfs.endpoint, signings=20, confirms=4) as load:
            row = await Runner(proxy, Journal(broker), load).row(name, FAULTS[name], 3.5)
    assert row.signing.available == 1
    assert row.signing.count >= 20
    assert 503 in {one.status for one in row.confirms}
    assert row.recovered is not None
    assert row.wrong == []


async def test_unknown_keys_refuse_no_good_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tokens with unknown key ids cause at most three fetches, and valid tokens are accepted."""
    folder = tmp_path_factory.mktemp("broker")
    with StandingProxy(fault=ONE_KEY) as service, Broker(folder, identity_rows.settings(service)) as broker:
        async with watched(service, broker) as runner:
            await runner.recovery(time.monotonic())
            row = await runner.row("flood", ONE_KEY, 2, 50)
    assert row.good.available == 1
    assert row.fetches <= 3
    assert row.others.startswith("401: ")
    assert row.wrong == []


def test_spread() -> None:
    """A fault of single objects is reported if it refuses other objects or opens the circuit."""
    throttled, missed = (
        {
            "event": "broker.request_completed",
            "status": 503,
            "code": "storage_unavailable",
            "reason": f"HeadObject returned {status}",
        }
        for status in (429, 520)
    )
    assert spread([throttled], REFUSES_ONLY[ONE_OBJECT]) == []
    assert spread([throttled, missed], REFUSES_ONLY[ONE_OBJECT]) == ['refused because "… returned 520"']
    assert spread([{"event": OPENED}], REFUSES_ONLY[ONE_OBJECT]) == ["the circuit opened"]
    assert len(spread([throttled, missed], REFUSES_ONLY[ONCE])) == 2


def test_object_faults_are_rows() -> None:
    """Each fault with a rule on single objects is a row of the table."""
    assert FAULTS.keys() >= REFUSES_ONLY.keys()


async def test_multipart_load_belongs_to_one_row(seaweedfs: Place) -> None:
    """Multipart uploads are confirmed only for the fault that concerns their completion."""
    client = Client("http://127.0.0.1:9", seaweedfs.endpoint, Load())
    assert [name for name in FAULTS if beside(client, name)] == [NO_TAG]
    await client.close()


def test_requests_are_counted() -> None:
    """Requests are counted by status, with availability and percentiles."""
    seen = [Result("create", 0, 0.001 * number, 201) for number in range(1, 100)] + [Result("create", 0, 9, 0)]
    found = signing(seen)
    assert (found.count, found.available) == (100, 0.99)
    assert (found.p50, found.p99) == pytest.approx((50, 99))
    assert percentile([1.0], 99) == 1.0
    assert statuses(seen) == "201: 99, none: 1"
