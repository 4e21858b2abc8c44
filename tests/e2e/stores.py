"""SeaweedFS with a bucket, and the settings of a broker that uses it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin


@contextmanager
def store_with_bucket(folder: Path, access_key_id: str, secret_access_key: str, bucket: str) -> Iterator[SeaweedFS]:
    """Start a store with its data in ``folder`` and an empty ``bucket``."""
    with SeaweedFS(folder, access_key_id, secret_access_key) as server:
        credentials = Credentials(server.access_key_id, server.secret_access_key)
        admin.ensure_bucket(admin.connect(server.endpoint, credentials), bucket)
        yield server


def settings_of(store: SeaweedFS, bucket: str) -> dict[str, str]:
    """Return the settings of a broker that uses this bucket."""
    return {
        "R2_ENDPOINT": store.endpoint,
        "R2_ACCESS_KEY_ID": store.access_key_id,
        "R2_SECRET_ACCESS_KEY": store.secret_access_key,
        "R2_BUCKET_NAME": bucket,
        "BROKER_SECRET": "a secret of the tests for upload ids and receipts",
    }
