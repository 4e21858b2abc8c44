"""The shell blocks of docs/runbook.md, pasted into a fresh shell with a real broker and a real store."""

import re
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from broker.server.exits import Exit
from tests.e2e.processes import JWT_SECRET, Broker
from tests.e2e.steps import confirm, create, fetch, mp3, put, ready
from tests.ports import free_port

from .markdown import block
from .test_shell_blocks import paste, tokens

pytestmark = pytest.mark.curl


def test_first_minute_shows_a_ready_broker(broker: Broker, environment: dict[str, str], tmp_path: Path) -> None:
    """The first block shows that the broker is ready, and what the doctor complains of: missing lifecycle rules."""
    variables = {**environment, "JWT_SECRET": JWT_SECRET, "BROKER": broker.url}
    text = block("test: first minute")
    output = paste(f"{text.rstrip()} || test $? = {int(Exit.CHECK_FAILED)}\n", tmp_path, variables)
    assert '"status":"ready"' in output
    assert "#lifecycle-rules" in output


def refused_confirm(client: httpx2.Client, broker: Broker, code: str) -> None:
    """Send 16 bytes that are not an MP3 if the store can be reached, and wait for the log line of their confirm."""
    upload = create(client, bytes(16))
    with suppress(httpx2.TransportError):
        put(upload, bytes(16))
    problem = confirm(client, upload).json()
    assert problem["code"] == code
    broker.requests(problem["requestId"], 1)


def test_reasons_are_counted(environment: dict[str, str], tmp_path: Path) -> None:
    """The block prints each reason of a 503 with its number."""
    away = {**environment, "R2_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with Broker(tmp_path, away, log=tmp_path / "broker.log") as broker, broker.client() as client:
        refused_confirm(client, broker, "storage_unavailable")
        output = paste(block("test: reasons"), tmp_path, {})
    assert re.fullmatch(r' *1 "reason":".* got no response, ConnectionRefusedError"\n', output)


def test_refusals_are_counted_by_user(environment: dict[str, str], tmp_path: Path) -> None:
    """The block prints each user whose files were refused, with the number of refusals."""
    with Broker(tmp_path, environment, log=tmp_path / "broker.log") as broker, broker.client("user-7") as client:
        for _ in range(2):
            refused_confirm(client, broker, "content_mismatch")
        output = paste(block("test: refusals"), tmp_path, {})
    assert output.split() == ["2", '"sub":"user-7"']


def test_aborted_upload_refuses_its_url(broker: Broker, tmp_path: Path) -> None:
    """After the block that aborts an upload, its URL answers 412."""
    with broker.client() as client:
        upload = create(client, mp3())
    paste(block("test: abort"), tmp_path, {**tokens(broker), "ID": upload["uploadId"]})
    assert put(upload, mp3()).status_code == 412


def test_deleted_object_refuses_its_link(broker: Broker, tmp_path: Path) -> None:
    """After the block that deletes an object, a link to it answers 404."""
    with broker.client() as client:
        key = ready(client, mp3())["key"]
        link = client.get(f"/downloads/{key}").json()["url"]
    assert fetch(link).status_code == 200
    paste(block("test: delete"), tmp_path, {**tokens(broker), "KEY": key})
    assert fetch(link).status_code == 404
