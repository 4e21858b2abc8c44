"""``broker reconcile``: options, lists, output, safety, exit statuses."""

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from broker.cli import main as command
from broker.cli import reconcile_command
from broker.core.model import ObjectRef
from broker.core.upload_rules import DAY
from broker.reconcile import patience, removal
from broker.server.exits import Exit
from broker.service.assembly import Deployment, assemble
from broker.settings import Settings
from tests.settings.test_settings import GOOD
from tests.stores.memory import MemoryObjectStore

NOW = 1_900_000_000
BUCKET = GOOD["R2_BUCKET_NAME"]


def key(number: int) -> str:
    """Return one of the keys of these tests."""
    return f"media/{number:08x}-0000-4000-8000-000000000000.mp3"


def ref(number: int) -> ObjectRef:
    """Return the object of a key."""
    return ObjectRef(BUCKET, key(number))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryObjectStore:
    """Return a store with 20 objects that are a year old, which the command uses."""
    made = MemoryObjectStore(clock=lambda: NOW - 365 * DAY)
    for number in range(20):
        made.put(ref(number), b"ID3")

    def assembled(parsed: Settings) -> Deployment:
        return assemble(parsed, store=made)

    monkeypatch.setattr(reconcile_command, "assemble", assembled)
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    monkeypatch.setattr(patience, "ATTEMPTS", 1)
    monkeypatch.setattr(removal, "BATCH_MAX", 2)
    monkeypatch.setattr("time.time", lambda: NOW)
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands in an empty folder and with the settings of a deployment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", dict(GOOD))
    return tmp_path


def wrote(folder: Path, *keys: str, age: float = 0) -> str:
    """Write a list of keys that was made ``age`` seconds ago."""
    path = folder / "keys"
    path.write_text("".join(f"{each}\n" for each in keys))
    os.utime(path, (NOW - age, NOW - age))
    return str(path)


def run(*words: str) -> int:
    """Run the command, and return its exit status."""
    return command.main(["reconcile", "--keys", *words])


def test_nothing_to_do(store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the list and the store agree, the command ends with status 0 and only counts."""
    assert run(wrote(folder, *map(key, range(20)))) == Exit.STOPPED
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.splitlines() == [
        "20 objects, 20 of them referred to",
        "0 unreferenced objects with 0 bytes",
        "0 unreferenced objects younger than 7 days, which are kept",
        "0 foreign objects, which are kept",
        "0 keys without an object",
    ]
    assert store.is_closed


def test_dry_run_changes_nothing(store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--delete`` differences are listed by kind, and nothing is deleted."""
    store.put(ObjectRef(BUCKET, "media/a \x1b[31mforeign.txt"), b"x")
    before = dict(store.objects)
    assert run(wrote(folder, *map(key, range(1, 21)))) == Exit.CHECK_FAILED
    shown = capsys.readouterr()
    date = "2029-03-17T17:46:40Z"
    assert shown.out.splitlines()[:3] == [
        f"unreferenced  {date}             3  {key(0)}",
        f"foreign       {date}             1  media/a ?[31mforeign.txt",
        f"missing       {'-':20}             -  {key(20)}",
    ]
    assert shown.err == "broker: reconcile: 1 keys have no object.\n"
    assert store.objects == before


def test_unreferenced_objects_have_their_status(
    store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Objects to delete end a dry run with status 5 and the option that deletes them."""
    assert run(wrote(folder, *map(key, range(19)))) == Exit.CHANGES_NEEDED
    assert "add --delete" in capsys.readouterr().err
    assert len(store.objects) == 20


def test_deletion(store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--delete`` deletes exactly the unreferenced objects, finally, and names each."""
    assert run(wrote(folder, *map(key, range(18))), "--delete") == Exit.STOPPED
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"deleted       {key(18)}", f"deleted       {key(19)}"]
    assert lines[-1] == "2 deleted, 0 failed"
    tombstones = {each for each in store.objects if each.key.startswith("incoming/")}
    assert {each.key for each in tombstones} == {key(n).replace("media", "incoming") for n in (18, 19)}
    assert set(store.objects) - tombstones == {ref(number) for number in range(18)}


def test_json_lines(store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``-o json`` every line is JSON, and the last one has the counts."""
    store.put(ObjectRef(BUCKET, "media/\u00e9"), b"x")
    store.undeletable = {key(19)}
    listed = wrote(folder, *map(key, (*range(18), 30)))
    assert run(listed, "-o", "json", "--delete") == Exit.HALF_CHANGED
    shown = capsys.readouterr()
    *found, summary = map(json.loads, shown.out.splitlines())
    assert {(line["kind"], line["key"]) for line in found} == {
        ("foreign", "media/\u00e9"),
        ("missing", key(30)),
        ("deleted", key(18)),
        ("failed", key(19)),
    }
    assert summary == {
        "kind": "summary",
        "objects": 20,
        "referenced": 18,
        "unreferenced": 2,
        "unreferencedBytes": 6,
        "recent": 0,
        "missing": 1,
        "foreign": 1,
        "deleted": 1,
        "failed": 1,
        "olderThan": 7 * DAY,
    }
    assert "some objects were not deleted. 1 of 2 objects were deleted. Run the same command again" in shown.err
    assert run(listed, "-o", "json") == Exit.CHECK_FAILED
    assert '"lastModified": "2029-' in capsys.readouterr().out


def put_younger(store: MemoryObjectStore, number: int, age: float) -> None:
    """Store an object of this age in seconds."""
    store._clock = lambda: NOW - age
    store.put(ref(number), b"ID3")


@pytest.mark.parametrize(
    ("options", "list_age", "object_age", "is_deleted"),
    [
        ([], 0, 7 * DAY + 1, True),
        ([], 0, 7 * DAY - 1, False),
        (["--older-than", "3d"], 0, 3 * DAY + 1, True),
        (["--older-than", "72h"], 0, 3 * DAY - 1, False),
        ([], 30 * DAY, 37 * DAY - 1, False),
        ([], 30 * DAY, 37 * DAY + 1, True),
        ([], -30 * DAY, 7 * DAY - 1, False),
    ],
)
def test_age_counts_from_the_list(
    options: list[str],
    list_age: float,
    object_age: float,
    is_deleted: bool,
    store: MemoryObjectStore,
    folder: Path,
) -> None:
    """An object is old by the date of the list, which has no object that was confirmed later."""
    put_younger(store, 20, object_age)
    assert run(wrote(folder, *map(key, range(20)), age=list_age), "--delete", *options) == Exit.STOPPED
    assert (ref(20) in store.objects) is not is_deleted


@pytest.mark.parametrize(("lifetime", "least"), [("1d", 3 * DAY), ("7d", 9 * DAY)], ids=["default", "longest"])
def test_new_objects_have_a_floor(
    lifetime: str, least: int, store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--older-than`` has a floor, which follows from UPLOAD_LIFETIME and holds without the option too."""
    os.environ["UPLOAD_LIFETIME"] = lifetime
    listed = wrote(folder, *map(key, range(20)))
    assert run(listed, "--older-than", f"{least - 1}s") == Exit.WRONG_CALL
    assert f"--older-than must be at least {least} seconds" in capsys.readouterr().err
    put_younger(store, 20, max(least, 7 * DAY) - 1)
    assert run(listed, "--delete") == Exit.STOPPED
    assert ref(20) in store.objects
    assert run(listed, "--older-than", str(least)) in (Exit.STOPPED, Exit.CHANGES_NEEDED)


@pytest.mark.parametrize(
    ("keys", "options", "message"),
    [
        ([], [], "the list has no keys"),
        ([], ["--allow-empty"], "20 of 20 objects are more than 10 %"),
        (range(17), [], "3 of 20 objects are more than 10 %. Check that the list is complete"),
        (range(19), ["--max-share", "4"], "to delete them, add --max-share 5. No object was deleted."),
    ],
)
def test_unsafe_deletion_is_refused(
    keys: Sequence[int],
    options: list[str],
    message: str,
    store: MemoryObjectStore,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A deletion that is probably a mistake is refused as a whole, and the message has the option that permits it."""
    assert run(wrote(folder, *map(key, keys)), "--delete", *options) == Exit.NOT_CHANGED
    assert message in capsys.readouterr().err
    assert len(store.objects) == 20


def test_permitted_share_is_deleted(store: MemoryObjectStore, folder: Path) -> None:
    """With both options everything may be deleted."""
    assert run(wrote(folder), "--delete", "--allow-empty", "--max-share", "100", "--rate", "1000") == Exit.STOPPED
    assert [each for each in store.objects if each.key.startswith("media/")] == []


def test_cut_list_is_refused(store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list whose last line has no end deletes nothing, but may be compared."""
    path = Path(wrote(folder, *map(key, range(20))))
    path.write_text(path.read_text()[:-1])
    assert run(str(path), "--delete") == Exit.NOT_CHANGED
    assert "it may be cut off. Export it again. No object was deleted." in capsys.readouterr().err
    assert run(str(path)) == Exit.STOPPED
    assert len(store.objects) == 20


def test_wrong_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list that cannot be read, or has a wrong line, ends with status 2 and one line that names it."""
    for name, message in {
        "absent": "--keys absent cannot be read: No such file or directory.",
        ".": "--keys . cannot be read: Is a directory.",
        wrote(folder, key(1), "https://x.example/y"): "line 2 is a URL",
    }.items():
        assert run(name) == Exit.WRONG_CALL
        shown = capsys.readouterr()
        assert message in shown.err
        assert (len(shown.err.splitlines()), shown.out) == (1, "")


@pytest.fixture
def standard_input() -> Iterator[None]:
    """Restore the standard input after the test."""
    kept = os.dup(0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


@pytest.mark.usefixtures("standard_input")
def test_list_from_the_input(store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The date of a redirected file counts, a pipe is of this moment, and a closed input is an error."""
    put_younger(store, 20, 20 * DAY)
    with Path(wrote(folder, *map(key, range(20)), age=30 * DAY)).open() as listed:
        os.dup2(listed.fileno(), 0)
        assert run("-") == Exit.STOPPED
    read, write = os.pipe()
    os.dup2(read, 0)
    os.write(write, "".join(f"{key(number)}\n" for number in range(20)).encode())
    os.close(write)
    os.close(read)
    assert run("-") == Exit.CHANGES_NEEDED
    os.close(0)
    assert run("-") == Exit.WRONG_CALL
    assert "--keys - cannot be read: Bad file descriptor." in capsys.readouterr().err


def test_settings_are_needed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the settings of the store the message names those that are missing."""
    del os.environ["R2_BUCKET_NAME"]
    assert run(wrote(folder)) == Exit.WRONG_CALL
    assert "reconcile needs the settings of the store: set R2_BUCKET_NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--keys"],
        ["--keys", "x", "--rate", "0"],
        ["--keys", "x", "--rate", "1001"],
        ["--keys", "x", "--max-share", "101"],
        ["--keys", "x", "--older-than", "soon"],
        ["--keys", "x", "--older-than", "-1"],
        ["--keys", "x", "-o", "xml"],
    ],
)
def test_wrong_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option prints the usage and ends with 2."""
    with pytest.raises(SystemExit) as ended:
        command.main(["reconcile", *words])
    assert (ended.value.code, "usage: broker reconcile" in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize("name", ["TemporaryFile", "writelines"])
def test_full_disk(
    name: str,
    store: MemoryObjectStore,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A temporary file that cannot be written ends with one line that names the remedy."""

    def failing(*_arguments: Any, **_options: Any) -> Any:
        if name == "TemporaryFile":
            raise OSError(28, "No space left on device")
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(tempfile, "TemporaryFile", failing)
    assert run(wrote(folder, key(1))) == Exit.WRONG_CALL
    assert "a temporary file cannot be written: No space left on device. Set TMPDIR" in capsys.readouterr().err
    assert len(store.objects) == 20


@pytest.mark.parametrize(("verb", "status"), [("list_objects", 6), ("put_empty", 6), ("delete_many", 6)])
def test_failing_store(
    verb: str, status: int, store: MemoryObjectStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that fails ends the command with one line and the number of deleted objects."""
    store.failing = {verb}
    assert run(wrote(folder, *map(key, range(19))), "--delete") == status
    shown = capsys.readouterr().err
    assert f"{verb} fails in this test. Run broker doctor to find the cause. No object was deleted." in shown
    assert len([each for each in store.objects if each.key.startswith("media/")]) == 20


def test_failure_after_some_deletions(
    store: MemoryObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure in the middle has its own status, and the same command continues."""
    listed = wrote(folder, *map(key, range(10)))
    deleting = store.delete_many

    async def fail_later(bucket: str, keys: Sequence[str]) -> dict[str, str]:
        if store.calls["delete_many"]:
            store.failing = {"delete_many"}
        return await deleting(bucket, keys)

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete_many", fail_later)
        assert run(listed, "--delete", "--max-share", "50", "--rate", "1000") == Exit.HALF_CHANGED
    shown = capsys.readouterr()
    assert "of 10 objects were deleted. Run the same command again: it continues with the rest." in shown.err
    assert "deleted, 0 failed" in shown.out
    store.failing = set()
    assert run(listed, "--delete", "--max-share", "50", "--rate", "1000") == Exit.STOPPED
    assert {each for each in store.objects if each.key.startswith("media/")} == {ref(n) for n in range(10)}


def test_refused_key_names_the_right(
    store: MemoryObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused access key ends with the right that it lacks, and the buckets."""
    os.environ["R2_STAGING_BUCKET_NAME"] = "staging"
    store.undeletable = {key(19)}

    async def refused(_bucket: str, keys: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(keys, "AccessDenied")

    monkeypatch.setattr(store, "delete_many", refused)
    assert run(wrote(folder, *map(key, range(19))), "--delete") == Exit.NOT_CHANGED
    shown = capsys.readouterr().err
    assert "The key of R2_ACCESS_KEY_ID needs Object Read & Write for songs and staging." in shown


def test_unsorted_store_is_refused(
    store: MemoryObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that lists in another order deletes nothing."""
    listing = store.list_objects

    async def reversed_page(bucket: str, prefix: str, *, page: str | None = None) -> Any:
        found = await listing(bucket, prefix, page=page)
        return found._replace(objects=found.objects[::-1])

    monkeypatch.setattr(store, "list_objects", reversed_page)
    assert run(wrote(folder, key(0)), "--delete", "--max-share", "100") == Exit.NOT_CHANGED
    assert "does not list keys in the order of UTF-8. No object was deleted." in capsys.readouterr().err
    assert len(store.objects) == 20


def test_signal_before_the_store(
    store: MemoryObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal while the list is read ends with status 8, and the handlers are restored."""
    before = signal.getsignal(signal.SIGTERM)

    def interrupted(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)  # the handler runs here

    monkeypatch.setattr(reconcile_command, "_read", interrupted)
    assert run(wrote(folder), "--delete") == Exit.INTERRUPTED
    assert capsys.readouterr().err == "broker: reconcile: interrupted. No object was deleted.\n"
    assert signal.getsignal(signal.SIGTERM) is before
    assert len(store.objects) == 20


@pytest.mark.parametrize(
    ("fails", "done"), [(False, "2 of 5 objects were"), (True, "No object was")], ids=["healthy", "failing"]
)
def test_signal_during_the_deletion(
    fails: bool,
    done: str,
    store: MemoryObjectStore,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A signal ends the deletion after its batch with status 8, and says what was done and how to continue."""
    deleting = store.delete_many

    async def interrupted(bucket: str, keys: Sequence[str]) -> dict[str, str]:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.01)  # asyncio calls the handler in its next round
        store.failing = {"delete_many"} if fails else set()
        return await deleting(bucket, keys)

    monkeypatch.setattr(store, "delete_many", interrupted)
    assert run(wrote(folder, *map(key, range(15))), "--delete", "--max-share", "50") == Exit.INTERRUPTED
    shown = capsys.readouterr()
    assert f"interrupted. {done} deleted. Run the same command again" in shown.err
    assert "deleted, 0 failed" in shown.out
