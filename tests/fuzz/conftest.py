"""A broker process for the fuzzing over HTTP, with a real store behind it."""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import Broker
from tests.stores.place import Place

from .known import made
from .properties import Target
from .verdict import Verdict
from .wire import Wire


def environment(store: Place) -> dict[str, str]:
    """The settings of a broker over this store."""
    return {
        "R2_ENDPOINT": store.endpoint,
        "R2_ACCESS_KEY_ID": store.credentials.access_key_id,
        "R2_SECRET_ACCESS_KEY": store.credentials.secret_access_key,
        "R2_BUCKET_NAME": store.bucket,
        "BROKER_RATE_LIMIT": "0",
    }


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, seaweedfs: Place) -> Iterator[Broker]:
    """A broker of this module's own: nobody else's requests are in its log."""
    with Broker(tmp_path_factory.mktemp("fuzz"), environment(seaweedfs)) as running:
        yield running


@pytest.fixture(scope="module")
def target(broker: Broker) -> Iterator[Target]:
    """That broker with two users' uploads and objects, and a connection to it."""
    with Wire(broker.port) as wire:
        yield Target(wire, Verdict(), made(broker))
