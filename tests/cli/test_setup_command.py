"""``broker setup``: options, the admin key, exit statuses, and real stores."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.cli import main as command
from broker.cli import setup_command
from broker.server.exits import Exit
from broker.settings import parse
from broker.setup.change_plan import Kind
from broker.store import admin, bucket_rules
from tests.cli.test_commands import without
from tests.settings.test_settings import GOOD
from tests.setup.rules_in_memory import MemoryRules
from tests.stores.place import Place

ORIGIN = "https://app.example"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands in an empty folder and without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    return tmp_path


def settings_of(place: Place, bucket: str, **changes: str) -> dict[str, str]:
    """Return the variables of a deployment at a running store, and the admin key."""
    key = place.credentials
    return {
        **GOOD,
        "R2_ENDPOINT": place.endpoint,
        "R2_BUCKET_NAME": bucket,
        "R2_ACCESS_KEY_ID": key.access_key_id,
        "R2_SECRET_ACCESS_KEY": key.secret_access_key,
        "BROKER_CORS_ORIGINS": ORIGIN,
        setup_command.ADMIN_KEY_ID: key.access_key_id,
        setup_command.ADMIN_SECRET: key.secret_access_key,
        **changes,
    }


def run(*words: str, **variables: str) -> int:
    """Run the command with these variables, and return its exit status."""
    os.environ.update(variables)
    return command.main(["setup", *words])


def test_real_store_is_set_up(place: Place, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan changes nothing; ``--apply`` writes both rules; then nothing is left to change; others' rules stay."""
    variables = settings_of(place, bucket)
    client = admin.connect(place.endpoint, place.credentials)
    other = bucket_rules.cors_rule(["https://other.example"], ["GET"])
    other["AllowedHeaders"] = ["range"]
    admin.write_cors(client, bucket, [other])

    assert run(**variables) == Exit.CHANGES_NEEDED
    assert len(admin.read_cors(client, bucket)) == 1
    assert admin.read_lifecycle(client, bucket) == []
    assert run("--apply", **variables) == Exit.STOPPED
    assert "2 changes made and read back." in capsys.readouterr().out
    assert [rule["AllowedOrigins"] for rule in admin.read_cors(client, bucket)] == [
        [ORIGIN],
        ["https://other.example"],
    ]
    assert len(admin.read_lifecycle(client, bucket)) == 2
    assert run(**variables) == Exit.STOPPED
    assert "Nothing to change." in capsys.readouterr().out


def test_rules_can_be_removed(place: Place, bucket: str) -> None:
    """An empty list of rules removes the rules of the bucket, as a restoration needs it."""
    stored = setup_command.StoredRules(place.endpoint, place.credentials)
    for kind, rule in (
        (Kind.CORS, bucket_rules.cors_rule([ORIGIN])),
        (Kind.LIFECYCLE, bucket_rules.unfinished_rule(4)),
    ):
        stored.write(bucket, kind, [rule])
        assert len(stored.read(bucket, kind)) == 1
        stored.write(bucket, kind, [])
        assert stored.read(bucket, kind) == []


def test_unknown_bucket(seaweedfs: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A bucket that does not exist is named by the store's code, with the remedy."""
    assert run("--apply", **settings_of(seaweedfs, "missing-bucket")) == Exit.NOT_CHANGED
    assert "NoSuchBucket. Create the bucket first" in capsys.readouterr().err


def test_refused_admin_key(seaweedfs: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused key ends with one line, the remedy, and no value of the key."""
    variables = settings_of(seaweedfs, seaweedfs.bucket, **{setup_command.ADMIN_SECRET: "canary-secret"})
    assert run("--apply", **variables) == Exit.NOT_CHANGED
    shown = capsys.readouterr().err
    assert "GetBucketCors returned 403" in shown
    assert "Admin Read & Write" in shown
    assert ("canary" in shown, len(shown.splitlines())) == (False, 1)


def test_store_does_not_respond(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not respond ends with one line."""
    monkeypatch.setattr(
        admin, "_CONFIG", admin._CONFIG.merge(type(admin._CONFIG)(retries={"total_max_attempts": 1}))
    )  # the test need not wait for retries
    variables = settings_of(Place("none", "http://127.0.0.1:1"), "songs")
    assert run("--apply", **variables) == Exit.NOT_CHANGED
    assert "GetBucketCors got no response, EndpointConnectionError" in capsys.readouterr().err


def test_conflict_is_not_applied(place: Place, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a conflict nothing is changed, also with ``--apply``."""
    client = admin.connect(place.endpoint, place.credentials)
    early = {**bucket_rules.staged_rule("incoming/", 1), "ID": "tidy"}
    admin.write_lifecycle(client, bucket, [early])
    assert run("--apply", **settings_of(place, bucket)) == Exit.NOT_CHANGED
    assert "conflict:" in capsys.readouterr().out
    assert admin.read_cors(client, bucket) == []


class Faulty(MemoryRules):
    """Rules in memory whose second write sends a signal to this process."""

    def write(self, bucket: str, kind: Kind, rules: Sequence[admin.Rule]) -> None:
        if self.writes == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        super().write(bucket, kind, rules)


def change(stored: MemoryRules) -> int:
    """Apply the plan for rules in memory."""
    parsed = parse({**GOOD, "BROKER_CORS_ORIGINS": ORIGIN})
    assert parsed.store
    return setup_command.change_buckets(parsed, parsed.store, lambda: stored, is_applied=True)


def test_signal_undoes_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """A signal between two writes leaves the rules as they were, and its handlers are restored."""
    before = signal.getsignal(signal.SIGTERM)
    stored = Faulty()
    assert change(stored) == Exit.INTERRUPTED
    assert [rules for rules in stored.rules.values() if rules] == []
    assert "The rules of the buckets are as they were." in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_half_applied_plan_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """If the restoration fails too, the message names what was not restored."""
    stored = MemoryRules()
    stored.failing = {2, 4}
    assert change(stored) == Exit.HALF_CHANGED
    assert "Not restored: the CORS rules of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("PutBucketCors returned 501, NotImplemented", "This store has no such rules."),
        ("PutBucketCors returned 500, InternalError", "Check R2_ENDPOINT"),
    ],
)
def test_other_failures(
    reason: str, remedy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each other failure of the store has its remedy."""

    def fail(*_arguments: object) -> None:
        raise admin.BucketRulesError(reason)

    stored = MemoryRules()
    monkeypatch.setattr(stored, "read", fail)
    assert change(stored) == Exit.NOT_CHANGED
    assert remedy in capsys.readouterr().err


def test_key_from_the_terminal(monkeypatch: pytest.MonkeyPatch, moto: Place) -> None:
    """Without the variables, the terminal is used for the key, whose secret is not shown."""
    variables = settings_of(moto, moto.bucket)
    key = variables.pop(setup_command.ADMIN_KEY_ID), variables.pop(setup_command.ADMIN_SECRET)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: key[0])
    monkeypatch.setattr("getpass.getpass", lambda _: key[1])
    assert run(**variables) == Exit.CHANGES_NEEDED
    monkeypatch.setattr("getpass.getpass", lambda _: " ")
    assert run(**variables) == Exit.WRONG_CALL


@pytest.mark.parametrize(
    ("error", "status"), [(EOFError, Exit.WRONG_CALL), (KeyboardInterrupt, Exit.INTERRUPTED)], ids=["Ctrl-D", "Ctrl-C"]
)
def test_prompt_is_left(error: type[BaseException], status: Exit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D and Ctrl-C at the prompt end the command with their statuses."""

    def leave(_prompt: str) -> str:
        raise error

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", leave)
    assert run(**GOOD) == status


def test_key_is_needed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal the message names the variables; half a key is refused."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert run(**GOOD) == Exit.WRONG_CALL
    assert setup_command.ADMIN_SECRET in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", None)
    assert run(**GOOD) == Exit.WRONG_CALL
    assert setup_command.ADMIN_SECRET in capsys.readouterr().err
    assert run(**GOOD, R2_ADMIN_ACCESS_KEY_ID="half") == Exit.WRONG_CALL
    assert "must both be set, or neither" in capsys.readouterr().err


def test_key_is_not_read_from_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin key in the file of settings, which the service reads too, is not used."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    lines = {**GOOD, setup_command.ADMIN_KEY_ID: "id", setup_command.ADMIN_SECRET: "secret"}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    assert run() == Exit.WRONG_CALL
    assert "setup needs an admin key" in capsys.readouterr().err


def test_store_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the settings of the store the message names those that are missing."""
    assert run(JWT_SECRET=GOOD["JWT_SECRET"]) == Exit.WRONG_CALL
    assert "R2_BUCKET_NAME" in capsys.readouterr().err


ACCOUNT = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("endpoint", "option", "expected"),
    [
        (f"https://{ACCOUNT}.r2.cloudflarestorage.com", None, (ACCOUNT, "default")),
        (f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", None, (ACCOUNT, "eu")),
        (f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", "eu", (ACCOUNT, "eu")),
        ("http://127.0.0.1:9000", "us", (None, "us")),
    ],
)
def test_print_needs_no_key(
    endpoint: str, option: str | None, expected: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """``--print`` needs neither network nor admin key, and takes the jurisdiction from the endpoint or ``-J``."""
    words = ["--print", "json", *(["-J", option] if option else [])]
    assert run(*words, **{**GOOD, "R2_ENDPOINT": endpoint, "R2_ACCOUNT_ID": ""}) == Exit.STOPPED
    document = json.loads(capsys.readouterr().out)
    assert (document["account"], document["jurisdiction"]) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--print", "json", "-J", "us"], "-J us contradicts the endpoint"),
        (["-J", "eu"], "-J is an option of --print"),
    ],
)
def test_jurisdiction_must_agree(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A jurisdiction that contradicts the endpoint, or has no use, is refused."""
    endpoint = f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com"
    assert run(*words, **{**GOOD, "R2_ENDPOINT": endpoint, "R2_ACCOUNT_ID": ""}) == Exit.WRONG_CALL
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--apply", "--print", "json"], ["--print", "xml"], ["-J", "mars"]])
def test_wrong_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option prints the usage and ends with 2."""
    with pytest.raises(SystemExit) as ended:
        command.main(["setup", *words])
    assert (ended.value.code, "usage: broker setup" in capsys.readouterr().err) == (2, True)


def test_setup_without_boto3() -> None:
    """Without boto3 the command prints one line that names the extra."""
    done = without("boto3", "setup")
    text = "broker: setup needs boto3, which is not installed: pip install 'r2-upload-broker[admin]'\n"
    assert (done.returncode, done.stderr) == (2, text)
