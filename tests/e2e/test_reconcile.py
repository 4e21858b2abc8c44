"""``broker reconcile`` as a process, with a real store: deletion, tombstones, signals, credentials, closed output."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.server.exits import Exit
from broker.store import admin
from tests.patience import PATIENCE

from .processes import JWT_SECRET, Broker, inherited
from .steps import mp3
from .stores import settings_of

IMMEDIATE = """
import sys
from broker.cli import main, reconcile_command
from broker.reconcile import patience
patience.ATTEMPTS = 1
reconcile_command.least_age = lambda _: -5  # objects of these tests are seconds old
sys.exit(main.main())
"""


class Bucket:
    """A bucket of one test, with objects that the broker may have made, and the commands of an operator."""

    def __init__(self, store: SeaweedFS, folder: Path) -> None:
        self.name = f"reconcile-{uuid4()}"
        self.folder = folder
        self.client = admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))
        self.client.create_bucket(Bucket=self.name)
        self.environment = {**settings_of(store, self.name), "JWT_SECRET": JWT_SECRET}

    def put(self, count: int) -> list[str]:
        """Store ready objects, and return their keys."""
        keys = sorted(f"media/{uuid4()}.mp3" for _ in range(count))
        for key in keys:
            self.client.put_object(Bucket=self.name, Key=key, Body=b"ID3")
        return keys

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects with this prefix."""
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    def write(self, keys: Sequence[str]) -> Path:
        """Write a list of keys."""
        path = self.folder / "keys"
        path.write_text("".join(f"{key}\n" for key in keys))
        return path

    def start(self, *words: str, **changes: str) -> "subprocess.Popen[str]":
        """Start the command, for which objects of any age are old."""
        line = [sys.executable, "-c", IMMEDIATE, "reconcile", *words, "--older-than", "0", "--max-share", "100"]
        variables = {**inherited(), **self.environment, **changes}
        pipe = subprocess.PIPE
        return subprocess.Popen(line, env=variables, cwd=self.folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str, text: str = "", **changes: str) -> tuple[int, str, str]:
        """Run the command with this input; return its status, its output and its errors."""
        process = self.start(*words, **changes)
        output, errors = process.communicate(text, timeout=PATIENCE)
        return process.returncode, output, errors


@pytest.fixture
def bucket(store: SeaweedFS, tmp_path: Path) -> Iterator[Bucket]:
    """Create a bucket for one test."""
    made = Bucket(store, tmp_path)
    yield made
    for key in made.keys(""):
        made.client.delete_object(Bucket=made.name, Key=key)
    made.client.delete_bucket(Bucket=made.name)


def test_deletion_is_final(bucket: Bucket, tmp_path: Path) -> None:
    """An upload that nobody refers to is deleted with a tombstone, its confirm is refused, and another one stays."""
    with Broker(tmp_path, bucket.environment) as broker, broker.client() as client:
        uploads = []
        for _ in range(2):
            declared = {"filename": "song.mp3", "contentType": "audio/mpeg", "size": len(mp3())}
            upload = client.post("/uploads", json=declared).json()
            httpx2.put(upload["url"], content=mp3(), headers=upload["headers"]).raise_for_status()
            confirmed = client.post(f"/uploads/{upload['uploadId']}/confirm").json()
            uploads.append((upload["uploadId"], confirmed["key"]))
        (kept_id, kept), (free_id, free) = uploads

        status, output, _ = bucket.run("--keys", "-", text=f"{kept}\n")
        assert (status, "unreferenced" in output, bucket.keys("media/")) == (5, True, sorted([kept, free]))

        assert bucket.run("--keys", "-", "--delete", text=f"{kept}\n")[0] == Exit.STOPPED
        assert bucket.keys("media/") == [kept]
        assert client.post(f"/uploads/{free_id}/confirm").json()["code"] == "upload_deleted"
        assert client.post(f"/uploads/{kept_id}/confirm").json()["key"] == kept
        assert client.get(f"/objects/{free}").status_code == 404


def wait_for_deletions(process: "subprocess.Popen[str]", count: int) -> None:
    """Return when the command has reported so many deletions."""
    assert process.stdout
    for _ in range(count):
        assert process.stdout.readline().startswith("deleted ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_deletion_continues(number: signal.Signals, bucket: Bucket) -> None:
    """After Ctrl-C or ``kill -9`` the same command deletes the rest, and nothing that is referred to."""
    keys = bucket.put(9)
    kept = keys[::3]
    listed = str(bucket.write(kept))
    process = bucket.start("--keys", listed, "--delete", "--rate", "2")
    wait_for_deletions(process, 2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    if number is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == Exit.INTERRUPTED
        assert "of 6 objects were deleted. Run the same command again: it continues with the rest." in errors
    left = bucket.keys("media/")
    assert set(kept) < set(left)
    assert len(left) < len(keys)

    assert bucket.run("--keys", listed, "--delete")[0] == Exit.STOPPED
    assert bucket.keys("media/") == kept
    free = [key.replace("media/", "incoming/") for key in keys if key not in kept]
    assert bucket.keys("incoming/") == free


def test_refused_access(bucket: Bucket) -> None:
    """Wrong credentials end with one line that names the missing right, and no secret."""
    status, output, errors = bucket.run("--keys", "-", R2_SECRET_ACCESS_KEY="canary-secret")
    assert (status, output, len(errors.splitlines())) == (Exit.NOT_CHANGED, "", 1)
    assert f"needs Object Read & Write for {bucket.name}." in errors
    assert "canary" not in errors


def test_output_is_closed(bucket: Bucket) -> None:
    """If nobody reads the output, the deletion ends, because its list is the record of what was deleted."""
    bucket.put(6)
    process = bucket.start("--keys", str(bucket.write([])), "--delete", "--allow-empty", "--rate", "2")
    wait_for_deletions(process, 1)
    assert process.stdout
    assert process.stderr
    assert process.stdin
    process.stdin.close()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(PATIENCE) == Exit.HALF_CHANGED
    assert "the output cannot be written: Broken pipe." in errors
    assert (len(errors.splitlines()), len(bucket.keys("media/")) > 0) == (1, True)
    process.stderr.close()
