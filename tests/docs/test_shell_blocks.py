"""The shell blocks of the pages, pasted into a fresh shell with a real broker and a real store."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from broker.cli.seaweedfs import SeaweedFS
from tests.e2e.processes import Broker, token
from tests.e2e.steps import digest, fetch, mp3
from tests.media import wav
from tests.patience import PATIENCE
from tests.plain_http import NO_TLS
from tests.ports import free_port

from .markdown import block, noted

COMMANDS = Path(sys.executable).parent
"""The folder of the ``broker`` command."""

pytestmark = pytest.mark.curl


def paste(text: str, folder: Path, variables: Mapping[str, str]) -> str:
    """Run a block in a fresh shell in ``folder``; return its output."""
    environment = {"PATH": f"{COMMANDS}:{os.environ['PATH']}", "HOME": str(folder), **variables}
    line = ["sh", "-e"]
    done = subprocess.run(
        line, cwd=folder, env=environment, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documents(output: str) -> list[Any]:
    """Return the JSON documents in an output, however they are separated."""
    decoder, found = json.JSONDecoder(), []
    while output := output.lstrip():
        document, end = decoder.raw_decode(output)
        found.append(document)
        output = output[end:]
    return found


def tokens(broker: Broker) -> dict[str, str]:
    """Return the variables that the blocks expect."""
    service = token("backend", scope="broker:service")
    return {"BROKER": broker.url, "TOKEN": token(), "SERVICE_TOKEN": service}


def refused_put(broker: Broker) -> str:
    """Return the URL of a PUT of one byte."""
    with broker.client() as client:
        declared = {"filename": "song.mp3", "contentType": "audio/mpeg", "size": 1}
        return str(client.post("/uploads", json=declared).json()["url"])


def test_four_calls_work(broker: Broker, tmp_path: Path) -> None:
    """README's block uploads the file and ends with a link that serves it."""
    (tmp_path / "song.mp3").write_bytes(mp3())
    track, link = documents(paste(block("test: four calls"), tmp_path, tokens(broker)))
    assert track["status"] == "ready"
    assert digest(fetch(link["url"]).content) == digest(mp3())


def test_curl_sends_parts(broker: Broker, tmp_path: Path) -> None:
    """The block of clients.md sends a file of two parts and confirms it."""
    content = wav() + bytes(17 * 2**20)
    (tmp_path / "song.wav").write_bytes(content)
    (track,) = documents(paste(block("test: curl parts"), tmp_path, tokens(broker)))
    assert track["status"] == "ready"
    with broker.client() as client:
        link = client.get(f"/downloads/{track['key']}").json()["url"]
    assert digest(fetch(link).content) == digest(content)


def test_first_upload_with_own_settings(store: SeaweedFS, tmp_path: Path) -> None:
    """The steps of getting-started.md lead from an empty folder to an upload."""
    (tmp_path / "song.mp3").write_bytes(mp3())
    port = str(free_port())
    own = {
        "R2_ACCOUNT_ID=0123456789abcdef0123456789abcdef": f"R2_ENDPOINT={store.endpoint}",
        "your-access-key-id": store.access_key_id,
        "your-secret-access-key": store.secret_access_key,
    }
    configure = block("test: configure")
    for example, value in own.items():
        assert example in configure
        configure = configure.replace(example, value)
    paste(configure, tmp_path, {})
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    start, check, get_tokens = (
        block(note).replace("8000", port) for note in ("test: start", "test: check", "test: tokens")
    )
    environment = {"PATH": f"{COMMANDS}:{os.environ['PATH']}"}
    line = ["sh", "-c", f"exec {start}"]
    with subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as run:
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz")
            (expected,) = (json.loads(found.text) for found in noted("json: GET /readyz 200"))
            assert json.loads(paste(check, tmp_path, {})) == expected
            track, link = documents(paste(get_tokens + block("test: four calls"), tmp_path, {}))
            assert track["owner"] == "user-1"
            assert fetch(link["url"]).content == mp3()
        finally:
            run.terminate()


def test_broker_starts_by_hand(tmp_path: Path) -> None:
    """The block of CONTRIBUTING.md prints a token with which the broker that it starts signs a PUT."""
    port = str(free_port())
    text = block("test: by hand").replace("8000", port).replace(".venv/bin/broker serve", "exec .venv/bin/broker serve")
    line = ["sh", "-ec", text.replace(".venv/bin", str(COMMANDS))]
    environment = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout
            bearer = run.stdout.readline().strip()
            wait_for(f"http://127.0.0.1:{port}/healthz")
            declared = {"filename": "song.mp3", "contentType": "audio/mpeg", "size": 1}
            headers = {"Authorization": f"Bearer {bearer}"}
            url = f"http://127.0.0.1:{port}/api/v1/uploads"
            made = httpx2.post(url, json=declared, headers=headers, trust_env=False, verify=NO_TLS)
            assert made.status_code == 201, made.text
        finally:
            run.terminate()


def wait_for(url: str) -> None:
    """Return when the URL answers 200."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if fetch(url).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)  # between two attempts
    raise AssertionError(url)


def test_code_of_a_refused_put_is_printed(broker: Broker, tmp_path: Path) -> None:
    """The block of troubleshooting.md prints the code that begins the page."""
    (tmp_path / "song.mp3").write_bytes(mp3())
    output = paste(block("test: read the code"), tmp_path, {"URL": refused_put(broker)})
    assert output.strip() == "SignatureDoesNotMatch"


def test_token_is_printed(tmp_path: Path) -> None:
    """The block of troubleshooting.md prints the header and the claims of a token."""
    header, claims = documents(paste(block("test: print a token"), tmp_path, {"TOKEN": token("user-7")}))
    assert header["alg"] == "HS256"
    assert claims["sub"] == "user-7"


def test_503_is_traced_by_its_request_id(environment: dict[str, str], tmp_path: Path) -> None:
    """The block of troubleshooting.md finds the line with the cause, and its fields are those of the example."""
    away = {**environment, "R2_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    log = tmp_path / "broker.log"
    with Broker(tmp_path, away, log=log) as broker, broker.client() as client:
        declared = {"filename": "song.mp3", "contentType": "audio/mpeg", "size": 1}
        upload = client.post("/uploads", json=declared).json()
        problem = client.post(f"/uploads/{upload['uploadId']}/confirm").json()
        assert problem["code"] == "storage_unavailable"
        broker.requests(problem["requestId"], 1)
        (line,) = documents(paste(block("test: trace"), tmp_path, {"REQUEST_ID": problem["requestId"]}))
    (example,) = (json.loads(found.text) for found in noted("log") if "troubleshooting" in found.page.name)
    assert line.keys() == example.keys()
    for name in ("route", "status", "code", "event"):
        assert line[name] == example[name]
    causes = [found["reason"].partition(" ")[2] for found in (line, example)]
    assert causes[0] == causes[1]  # two operations are sent at once, and either may fail first
