"""A real store, and a real broker process that uses it."""

from collections.abc import Iterator

import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin

from .processes import Broker

BUCKET = "media-bucket"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Start a SeaweedFS for the tests of this package: some of them stop it.

    It is started once a session: xdist runs tests of several packages in turns, and a start takes five seconds.
    """
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), "AKEND2END", "a secret access key of the tests") as server:
        credentials = Credentials(server.access_key_id, server.secret_access_key)
        admin.ensure_bucket(admin.connect(server.endpoint, credentials), BUCKET)
        yield server


@pytest.fixture(scope="session")
def environment(store: SeaweedFS) -> dict[str, str]:
    """Return the settings of a broker that uses this store."""
    return {
        "R2_ENDPOINT": store.endpoint,
        "R2_ACCESS_KEY_ID": store.access_key_id,
        "R2_SECRET_ACCESS_KEY": store.secret_access_key,
        "R2_BUCKET_NAME": BUCKET,
        "BROKER_SECRET": "a secret of the tests for upload ids and receipts",
        "BROKER_RATE_LIMIT": "0",
    }


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Broker]:
    """Start one broker that most tests share."""
    with Broker(tmp_path_factory.mktemp("broker"), environment) as running:
        yield running
