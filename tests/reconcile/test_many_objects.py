"""``broker reconcile`` over thousands of objects at an S3 server, by the store's own adapter."""

import json
import os
import random
from pathlib import Path
from uuid import UUID

import pytest
from moto.s3.models import s3_backends

from broker.cli import main, reconcile_command
from broker.server.exits import Exit
from tests.settings.test_settings import GOOD
from tests.stores.place import CREDENTIALS, Place

COUNT = 2001
"""Objects: three pages."""


@pytest.fixture
def bucket(moto: Place) -> str:
    """Create a bucket in the server, which runs in this process."""
    backend = s3_backends["123456789012"]["aws"]
    name = f"many-{UUID(int=random.getrandbits(128))}"
    backend.create_bucket(name, "us-east-1")
    assert moto.name == "moto"
    return name


def test_thousands_of_objects(
    moto: Place, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All pages are compared, and exactly the unreferenced objects of all of them are deleted."""
    backend = s3_backends["123456789012"]["aws"]
    keys = [f"media/{UUID(int=random.getrandbits(128), version=4)}.mp3" for _ in range(COUNT)]
    for key in keys:
        backend.put_object(bucket, key, b"")
    free = set(random.sample(keys, 20))
    listed = tmp_path / "keys"
    listed.write_text("".join(f'{{"key": "{key}"}}\r\n' for key in keys if key not in free))
    settings = {**GOOD, "R2_ENDPOINT": moto.endpoint, "R2_ACCOUNT_ID": "", "R2_BUCKET_NAME": bucket}
    settings["R2_ACCESS_KEY_ID"] = CREDENTIALS.access_key_id
    settings["R2_SECRET_ACCESS_KEY"] = CREDENTIALS.secret_access_key
    monkeypatch.setattr("os.environ", settings)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reconcile_command, "least_age", lambda _: -5)  # the objects are seconds old
    os.utime(listed)
    words = ["reconcile", "--keys", str(listed), "--older-than", "0", "-o", "json", "--rate", "1000"]

    assert main.main(words) == Exit.CHANGES_NEEDED
    *found, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert {line["key"] for line in found} == free
    assert (summary["objects"], summary["referenced"]) == (COUNT, COUNT - len(free))

    assert main.main([*words, "--delete"]) == Exit.STOPPED
    left = {key for key in backend.buckets[bucket].keys if key.startswith("media/")}
    assert left == set(keys) - free
