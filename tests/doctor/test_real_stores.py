"""``setup`` and ``doctor`` against real stores: exactly what each store lacks is a complaint."""

from uuid import uuid4

import pytest

from broker.cli.setup_command import StoredRules, change_buckets
from broker.crypto.sigv4 import Credentials
from broker.server.exits import Exit
from broker.settings import StoreSettings, parse
from broker.setup.change_plan import Kind
from broker.store import admin
from broker.store.admin import BucketRulesError
from tests.doctor.deployments import HEALTHY, complaints, examined
from tests.stores.place import Place

MOTO_LACKS = {
    "signature-not-refused",
    "size-not-refused",
    "part-size-not-refused",
    "type-not-refused",
    "expiry-not-refused",
    "checksum-not-refused",
    "attestation-missing",
    "copy-source-not-refused",
    "copy-condition-ignored",
    "store-call-failed",
}
"""moto verifies no signature, and its list of parts has another name."""

LOCAL_R2_LACKS = {
    "checksum-not-refused",
    "attestation-missing",
    "copy-source-not-refused",
    "store-call-failed",
    "cors-missing",
}
"""Cloudflare's local R2 ignores checksums and acts on unsigned fields; it has no list of parts and no CORS."""


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let deletions not wait for copies."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)


def settings_of(place: Place, bucket: str) -> dict[str, str]:
    """Return the settings of a deployment with a bucket of this store."""
    key = place.credentials
    return {
        **HEALTHY,
        "R2_ENDPOINT": place.endpoint,
        "R2_BUCKET_NAME": bucket,
        "R2_ACCESS_KEY_ID": key.access_key_id,
        "R2_SECRET_ACCESS_KEY": key.secret_access_key,
    }


def set_up(place: Place, bucket: str) -> int:
    """Apply the plan of the deployment with the admin key."""
    parsed = parse(settings_of(place, bucket))
    assert parsed.store
    rules = StoredRules(place.endpoint, place.credentials)
    return change_buckets(parsed, parsed.store, lambda: rules, is_applied=True)


async def test_store_that_was_set_up(place: Place, bucket: str) -> None:
    """After ``setup`` SeaweedFS has no complaint, and moto exactly those about what it lacks."""
    assert set_up(place, bucket) == Exit.STOPPED
    found = complaints(await examined(**{**settings_of(place, bucket), "endpoint": place.endpoint}))
    assert set(found) == (MOTO_LACKS if place.name == "moto" else set())


async def test_store_without_rules(seaweedfs: Place) -> None:
    """Before ``setup`` the missing rules are named."""
    client, name = admin.connect(seaweedfs.endpoint, seaweedfs.credentials), f"doctor-{uuid4()}"
    client.create_bucket(Bucket=name)
    found = complaints(await examined(**{**settings_of(seaweedfs, name), "endpoint": seaweedfs.endpoint}))
    client.delete_bucket(Bucket=name)
    assert set(found) == {"cors-missing", "lifecycle-missing", "lifecycle-abort-missing"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"R2_SECRET_ACCESS_KEY": "another"}, "secret-wrong"),
        ({"R2_ACCESS_KEY_ID": "UNKNOWN"}, "access-key-unknown"),
        ({"R2_BUCKET_NAME": "misspelt"}, "bucket-missing"),
    ],
)
async def test_sabotaged_seaweedfs(changes: dict[str, str], expected: str, seaweedfs: Place) -> None:
    """A real store's refusal is diagnosed by its name."""
    settings = {**settings_of(seaweedfs, seaweedfs.bucket), **changes, "endpoint": seaweedfs.endpoint}
    assert set(complaints(await examined(**settings))) == {expected}


@pytest.mark.stores
async def test_local_r2(local_r2: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cloudflare's local R2 has exactly the complaints about what it lacks; it has no rules to set."""

    def presigner(_store: StoreSettings, credentials: Credentials) -> object:
        return local_r2.presigner(credentials)

    monkeypatch.setattr("broker.service.assembly._presigner", presigner)
    settings = {**settings_of(local_r2, local_r2.bucket), "endpoint": local_r2.endpoint}
    assert set(complaints(await examined(**settings))) == LOCAL_R2_LACKS
    rules = StoredRules(f"{local_r2.endpoint}/{local_r2.mount}", local_r2.credentials)
    with pytest.raises(BucketRulesError, match="NotImplemented"):
        rules.read(local_r2.bucket, Kind.CORS)
