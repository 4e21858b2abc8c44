"""A real store and a real broker, for the commands and snippets of the documentation."""

from collections.abc import Iterator

import pytest

from broker.cli.seaweedfs import SeaweedFS
from tests.e2e.processes import Broker
from tests.e2e.stores import settings_of, store_with_bucket

BUCKET = "songs"
"""The bucket of the examples."""


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Start a store with the bucket of the examples."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    with store_with_bucket(folder, "AKDOCS", "a secret access key of the pages", BUCKET) as server:
        yield server


@pytest.fixture(scope="package")
def environment(store: SeaweedFS) -> dict[str, str]:
    """Return the settings of a broker over that store. Files of more than 1 MiB are sent in parts."""
    return {**settings_of(store, BUCKET), "BROKER_RATE_LIMIT": "0", "UPLOAD_MULTIPART_THRESHOLD": "1MiB"}


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Broker]:
    """Start one broker that most tests share."""
    with Broker(tmp_path_factory.mktemp("broker"), environment) as running:
        yield running
