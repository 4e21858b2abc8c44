"""Files in forms, through a real broker to a real store: constant memory, and nothing left after an abort or a kill."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.core.limits import GIB, MIB
from broker.crypto.sigv4 import Credentials
from broker.store import admin, bucket_rules
from tests.patience import PATIENCE

from .conftest import BUCKET
from .forms import content, file_head, form_client, form_length, upload
from .processes import Broker
from .steps import digest, served

MEMORY_MAX = 48 * 1000 * 1000
"""Bytes above the idle process that an upload of any size may take."""


@pytest.fixture
def s3(store: SeaweedFS) -> Any:
    """Return a client of the store."""
    return admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))


def left(s3: Any) -> tuple[set[str], set[str]]:
    """Return the keys of all ready objects, and of all open multipart uploads."""
    objects = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    uploads = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return {found["Key"] for found in objects}, {found["Key"] for found in uploads}


def forms(broker: Broker) -> int:
    """Return the number of forms whose requests have ended."""
    return sum("/uploads/media" in str(line) for line in broker.lines())


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens after a connection has ended."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # between two looks at the store


def resident(broker: Broker, name: str) -> int:
    """Return ``VmRSS`` or ``VmHWM`` of the broker, in bytes (proc(5))."""
    status = Path(f"/proc/{broker.process.pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def sha256(size: int) -> str:
    """Return the checksum of the content of a file."""
    hashed = hashlib.sha256()
    for block in content(size):
        hashed.update(block)
    return hashed.hexdigest()


@pytest.mark.parametrize("size", [1, 300_000, 5 * MIB, 8 * MIB, 21_000_001])
def test_a_file_of_any_size_is_served_unchanged(broker: Broker, s3: Any, size: int) -> None:
    """A file is stored at its ready key in one object or in parts, and served byte for byte."""
    open_before = left(s3)[1]
    size += 100  # of which a sniffed format needs some
    reply = upload(broker, size)
    assert reply.status == 201, reply.document
    key = reply.document["key"]
    with broker.client() as client:
        found = client.get(f"/objects/{key}").json()
        assert (found["owner"], found["filename"], found["size"]) == ("user-1", "song.mp3", size)
        assert digest(served(client, key)) == digest(b"".join(content(size)))
    assert s3.head_object(Bucket=BUCKET, Key=key)["CacheControl"] == "private, max-age=31536000, immutable"
    assert left(s3)[1] == open_before


@pytest.mark.parametrize("sent", [0, 100, 3 * MIB, 9 * MIB, 15 * MIB])
def test_an_aborted_upload_leaves_nothing(broker: Broker, s3: Any, sent: int) -> None:
    """A client that closes its connection in the middle leaves no object and no multipart upload."""
    before = left(s3)
    ended = forms(broker)
    with form_client(broker, form_length(16 * MIB)) as client:
        client.send(file_head())
        for block in content(sent):
            client.send(block)
        time.sleep(0.2)  # so that some aborts meet a request to the store
    wait_until(lambda: forms(broker) > ended)
    wait_until(lambda: left(s3) == before)


def test_a_client_that_does_not_wait_gets_no_object(broker: Broker, s3: Any) -> None:
    """A client that closes its connection behind the last byte leaves at most what it was told of."""
    before = left(s3)
    ended = forms(broker)
    with form_client(broker, form_length(16 * MIB)) as client:
        client.send(file_head())
        for block in content(16 * MIB):
            client.send(block)
    wait_until(lambda: forms(broker) > ended)
    wait_until(lambda: left(s3) == before)


@pytest.fixture
def mortal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Broker]:
    """Start a broker of its own."""
    with Broker(tmp_path, environment) as running:
        yield running


NO_AGE = """
from broker.service import abandoned_forms
abandoned_forms.AGE_MIN = -1
from broker.cli.entry import main
import sys
sys.argv[0] = "broker"
main()
"""
"""A broker that does not wait until an upload is older than any form can be."""


@pytest.mark.parametrize("size", [3 * MIB, 40 * MIB])
def test_a_killed_broker_leaves_what_a_form_aborts(
    mortal: Broker, s3: Any, size: int, tmp_path: Path, environment: dict[str, str]
) -> None:
    """After kill -9 there is no object; at most an open multipart upload, which a form or the bucket's rule aborts."""
    before = left(s3)
    with form_client(mortal, form_length(size)) as client:
        client.send(file_head())
        for block in content(size // 2):
            client.send(block)
        mortal.kill()
    objects, uploads = left(s3)
    uploads -= before[1]
    assert objects == before[0]
    assert len(uploads) == (size > 8 * MIB)
    aborting = [
        rule for rule in bucket_rules.lifecycle_rules("incoming/", 4) if "AbortIncompleteMultipartUpload" in rule
    ]
    assert all(any(key.startswith(rule["Filter"]["Prefix"]) for rule in aborting) for key in uploads)
    promoted = s3.create_multipart_upload(Bucket=BUCKET, Key="media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3")
    with Broker(tmp_path, environment, command=[sys.executable, "-c", NO_AGE], counted=False) as next_broker:
        assert upload(next_broker, 1000).status == 201
        wait_until(lambda: left(s3)[1] - before[1] == {promoted["Key"]})
    s3.abort_multipart_upload(Bucket=BUCKET, Key=promoted["Key"], UploadId=promoted["UploadId"])


@pytest.mark.large
def test_f13_a_gigabyte_takes_little_memory(mortal: Broker) -> None:
    """F13: an upload of 1 GiB takes at most 48 MB above the idle process."""
    assert upload(mortal, 1000).status == 201
    idle = resident(mortal, "VmRSS")
    Path(f"/proc/{mortal.process.pid}/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM
    began = time.monotonic()
    reply = upload(mortal, GIB)
    seconds = time.monotonic() - began
    above = resident(mortal, "VmHWM") - idle
    print(f"F13: 1 GiB in {seconds:.1f} s, {above / 1e6:.1f} MB above {idle / 1e6:.1f} MB")
    assert reply.status == 201, reply.document
    assert above <= MEMORY_MAX
    with mortal.client() as client:
        assert client.get(f"/objects/{reply.document['key']}").json()["size"] == GIB


@pytest.mark.large
def test_f13_fifty_uploads_at_once(mortal: Broker, s3: Any) -> None:
    """F13: 50 parallel uploads of 20 MB by one user on one worker all succeed."""
    open_before = left(s3)[1]
    idle = resident(mortal, "VmRSS")
    size = 20_000_000
    began = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: upload(mortal, size), range(50)))
    seconds = time.monotonic() - began
    above = resident(mortal, "VmHWM") - idle
    print(f"F13: 50 x 20 MB in {seconds:.1f} s, {above / 1e6:.1f} MB above {idle / 1e6:.1f} MB")
    failed = [line for line in mortal.lines() if line.get("status") not in (None, 201, 200)]
    assert [reply.status for reply in replies] == [201] * 50, failed
    assert {reply.document["size"] for reply in replies} == {size}
    assert len({reply.document["key"] for reply in replies}) == 50
    assert left(s3)[1] == open_before
