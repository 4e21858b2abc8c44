"""A real store and a real broker, for the commands and snippets of the documentation."""

from collections.abc import Iterator

import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin
from tests.e2e.processes import Broker

BUCKET = "songs"
"""The bucket of the examples."""


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Start a store with the bucket of the examples."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), "AKDOCS", "a secret access key of the pages") as server:
        credentials = Credentials(server.access_key_id, server.secret_access_key)
        admin.ensure_bucket(admin.connect(server.endpoint, credentials), BUCKET)
        yield server


@pytest.fixture(scope="package")
def environment(store: SeaweedFS) -> dict[str, str]:
    """Return the settings of a broker over that store. Files of more than 1 MiB are sent in parts."""
    return {
        "R2_ENDPOINT": store.endpoint,
        "R2_ACCESS_KEY_ID": store.access_key_id,
        "R2_SECRET_ACCESS_KEY": store.secret_access_key,
        "R2_BUCKET_NAME": BUCKET,
        "BROKER_SECRET": "a secret of the pages for upload ids and receipts",
        "BROKER_RATE_LIMIT": "0",
        "UPLOAD_MULTIPART_THRESHOLD": "1MiB",
    }


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Broker]:
    """Start one broker that most tests share."""
    with Broker(tmp_path_factory.mktemp("broker"), environment) as running:
        yield running
