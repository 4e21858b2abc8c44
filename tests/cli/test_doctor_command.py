"""``broker doctor`` as a process: options, exit statuses, signals, and what remains in the bucket."""

import asyncio
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.cli import main as command
from broker.cli.doctor_command import cancel_once
from broker.doctor.probes import PROBE_UUID
from broker.server.exits import Exit
from tests.cli.test_commands import broker, without
from tests.doctor.deployments import HEALTHY
from tests.doctor.faulty_store import FaultyStore, serving
from tests.e2e.processes import inherited
from tests.patience import PATIENCE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    return tmp_path


@pytest.fixture
def store() -> FaultyStore:
    """Return a store without faults."""
    return FaultyStore()


@pytest.fixture
def environment(store: FaultyStore) -> Iterator[dict[str, str]]:
    """Return the settings of a healthy deployment at ``store``."""
    with serving(store) as endpoint:
        yield {**HEALTHY, "R2_ENDPOINT": endpoint}


def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command in this process, and return its exit status."""
    monkeypatch.setattr("os.environ", environment)
    return command.main(["doctor", *words])


def test_healthy_deployment_passes(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A healthy deployment ends with status 0 and one short line."""
    assert run(environment, monkeypatch, "-o", "short") == Exit.STOPPED
    assert capsys.readouterr().out == "Status: √ no complaint\n"


def test_failure_has_its_status(
    environment: dict[str, str],
    store: FaultyStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A failure ends with status 4, and the JSON names it."""
    store.origins = ()
    assert run(environment, monkeypatch, "-o", "json") == Exit.CHECK_FAILED
    document = json.loads(capsys.readouterr().out)
    named = {finding["name"]: finding for category in document["categories"] for finding in category["findings"]}
    assert named["cors-missing"]["hint"] == "docs/troubleshooting.md#cors-errors"
    assert document["status"] == "failed"


def test_wrong_settings_are_findings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that prevent the start are findings, each without its value."""
    wrong = {"JWT_SECRET": "canary", "R2_ENDPOINT": "https://pub-canary.r2.dev"}
    assert run(wrong, monkeypatch) == Exit.CHECK_FAILED
    shown = capsys.readouterr().out
    assert "JWT_SECRET must" in shown
    assert "R2_ENDPOINT must not be on r2.dev" in shown
    assert "canary" not in shown


@pytest.mark.parametrize("words", [["--token", "-"], ["--token", "canary-token"]], ids=["input", "option"])
def test_token_is_explained(
    words: list[str],
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``--token`` explains a refusal, and shows nothing of the token."""
    monkeypatch.setattr("sys.stdin", io.StringIO("canary-token\n"))
    assert run(environment, monkeypatch, "-o", "short", *words) == Exit.CHECK_FAILED
    shown = capsys.readouterr().out
    assert "tokens: the token is refused: the token is not in compact form" in shown
    assert "canary" not in shown


def test_token_needs_an_input(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--token -`` with a closed input ends with one line and status 2."""
    monkeypatch.setattr("sys.stdin", None)
    assert run(environment, monkeypatch, "--token", "-") == Exit.WRONG_CALL
    assert capsys.readouterr().err == "broker: --token - needs an input with the token in its first line.\n"


def test_doctor_needs_no_boto3(environment: dict[str, str]) -> None:
    """The command needs no boto3; without settings it reports what is missing."""
    done = without("boto3", "doctor")
    assert (done.returncode, "boto3" in done.stderr) == (Exit.CHECK_FAILED, False)
    assert environment


@pytest.mark.parametrize("words", [["-o", "xml"], ["--jwt", "x"]])
def test_wrong_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option prints the usage and ends with 2."""
    with pytest.raises(SystemExit) as ended:
        command.main(["doctor", *words])
    assert (ended.value.code, "usage: broker" in capsys.readouterr().err) == (2, True)


def test_output_without_symbols(tmp_path: Path) -> None:
    """A terminal whose encoding has no symbols gets question marks in their place."""
    done = broker(tmp_path, "doctor", environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == Exit.CHECK_FAILED
    assert "1 failed" in done.stdout


def started(environment: dict[str, str], store: FaultyStore) -> "subprocess.Popen[str]":
    """Start the command, and return when it has stored a probe."""
    line = [sys.executable, "-m", "broker", "doctor"]
    process = subprocess.Popen(
        line, env={**inherited(), **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE
    while not store.objects and time.monotonic() < deadline:
        time.sleep(0.002)  # between two reads: the probes exist for a moment
    assert store.objects
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_removes_the_probes(number: signal.Signals, environment: dict[str, str], store: FaultyStore) -> None:
    """Ctrl-C and SIGTERM end the examination with status 8, and the bucket is as it was."""
    process = started(environment, store)
    process.send_signal(number)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, store.objects, store.multiparts) == (Exit.INTERRUPTED, {}, {})
    assert errors == "broker: doctor: interrupted; all probes were removed\n"


def test_kill_is_cleaned_by_the_next_run(
    environment: dict[str, str],
    store: FaultyStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After ``kill -9`` the probes have recognisable keys, and the next run removes them."""
    process = started(environment, store)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert store.objects
    assert all(PROBE_UUID in key for _, key in store.objects)
    assert run(environment, monkeypatch) == Exit.STOPPED
    assert "probes of 1 interrupted examinations were removed" in capsys.readouterr().out
    assert (store.objects, store.multiparts) == ({}, {})


async def test_second_signal_is_ignored() -> None:
    """The second signal does not end the removal of the probes."""
    task: asyncio.Task[Any] = asyncio.create_task(asyncio.sleep(PATIENCE))
    cancel_once(task)
    cancel_once(task)
    assert task.cancelling() == 1
    with pytest.raises(asyncio.CancelledError):
        await task
