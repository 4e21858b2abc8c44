"""A broker process with a real store, for the fuzzing over HTTP."""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import Broker
from tests.stores.place import Place

from .known import created
from .properties import Target
from .verdict import Verdict
from .wire import Wire


def environment(store: Place) -> dict[str, str]:
    """Return the settings of a broker with this store."""
    return {
        "R2_ENDPOINT": store.endpoint,
        "R2_ACCESS_KEY_ID": store.credentials.access_key_id,
        "R2_SECRET_ACCESS_KEY": store.credentials.secret_access_key,
        "R2_BUCKET_NAME": store.bucket,
        "BROKER_RATE_LIMIT": "0",
        "BROKER_CORS_ORIGINS": "https://app.example, capacitor://localhost",
    }


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, seaweedfs: Place) -> Iterator[Broker]:
    """Start a broker for the fuzzing alone, so that its log has no other requests."""
    with Broker(tmp_path_factory.mktemp("fuzz"), environment(seaweedfs)) as running:
        yield running


@pytest.fixture(scope="session")
def target(broker: Broker) -> Iterator[Target]:
    """Yield the broker with uploads and objects of two users, and a connection to it."""
    with Wire(broker.port) as wire:
        yield Target(wire, Verdict(), created(broker))
