"""A real store, and a real broker process that uses it."""

from collections.abc import Iterator

import pytest

from broker.cli.seaweedfs import SeaweedFS

from .processes import Broker
from .stores import settings_of, store_with_bucket

BUCKET = "media-bucket"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Start a SeaweedFS for the tests of this package: some of them stop it.

    It is started once a session: xdist runs tests of several packages in turns, and a start takes five seconds.
    """
    folder = tmp_path_factory.mktemp("seaweedfs")
    with store_with_bucket(folder, "AKEND2END", "a secret access key of the tests", BUCKET) as server:
        yield server


@pytest.fixture(scope="session")
def environment(store: SeaweedFS) -> dict[str, str]:
    """Return the settings of a broker that uses this store."""
    return {**settings_of(store, BUCKET), "BROKER_RATE_LIMIT": "0"}


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Broker]:
    """Start one broker that most tests share."""
    with Broker(tmp_path_factory.mktemp("broker"), environment) as running:
        yield running
