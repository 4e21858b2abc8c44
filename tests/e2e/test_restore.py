"""What docs/runbook.md says about lost objects and another bucket: applications in this process, a real store."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin

from .conftest import BUCKET
from .steps import confirm, digest, mp3, ready, served, uploaded
from .test_sequences_over_time import Clock, application

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OTHER = "other-bucket"


@pytest.fixture
def s3(store: SeaweedFS) -> Iterator["S3Client"]:
    """Return the operator's client of the store, which has a second bucket."""
    client = admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))
    admin.ensure_bucket(client, OTHER)
    yield client
    client.close()


def test_removed_object_is_confirmed_again(environment: dict[str, str], s3: "S3Client") -> None:
    """A ready object that another tool removed is at the same key again after another confirm."""
    with application(environment, Clock()) as client:
        upload = uploaded(client, mp3())
        track = confirm(client, upload).json()
        s3.delete_object(Bucket=BUCKET, Key=track["key"])
        assert client.get(f"objects/{track['key']}").status_code == 404
        again = confirm(client, upload)
        assert (again.status_code, again.json()["key"]) == (200, track["key"])
        assert digest(served(client, track["key"])) == digest(mp3())


def test_copied_bucket_keeps_keys_and_owners(environment: dict[str, str], s3: "S3Client") -> None:
    """A broker with a copy of the bucket serves the same keys to the same owners; open uploads are not uploaded."""
    with application(environment, Clock()) as client:
        track, open_upload = ready(client, mp3()), uploaded(client, mp3())
    s3.copy_object(Bucket=OTHER, Key=track["key"], CopySource={"Bucket": BUCKET, "Key": track["key"]})
    with application(environment, Clock(), R2_BUCKET_NAME=OTHER, DOWNLOAD_ACCESS="owner") as client:
        found = client.get(f"objects/{track['key']}").json()
        assert (found["owner"], found["size"]) == (track["owner"], track["size"])
        assert digest(served(client, track["key"])) == digest(mp3())
        assert confirm(client, open_upload).json()["code"] == "not_uploaded"


def test_kept_staging_bucket_loses_no_upload(environment: dict[str, str], s3: "S3Client") -> None:
    """If only the bucket of ready objects changes, an open upload is confirmed into the new one."""
    assert s3
    with application(environment, Clock()) as client:
        open_upload = uploaded(client, mp3())
    changes = {"R2_BUCKET_NAME": OTHER, "R2_STAGING_BUCKET_NAME": BUCKET}
    with application(environment, Clock(), **changes) as client:
        track = confirm(client, open_upload)
        assert track.status_code == 200
        assert digest(served(client, track.json()["key"])) == digest(mp3())
