"""The snippets of the pages in JavaScript, Python, Swift and Kotlin."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.e2e.processes import Broker, token
from tests.e2e.steps import digest, fetch, mp3, uploaded
from tests.media import wav
from tests.npm import NODE
from tests.patience import PATIENCE

from .markdown import ROOT, block, noted, table

PAGE = ROOT / "docs" / "clients.md"

EXAMPLE = "https://broker.example"
"""The address of the broker in the pages."""


def node(folder: Path, module: str, **variables: str) -> Any:
    """Run a module in Node.js; return the JSON document that it prints."""
    (folder / "snippet.mjs").write_text(module, encoding="utf-8")
    done = subprocess.run(
        [NODE, "snippet.mjs"], cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("size", [0, 17 * 2**20], ids=["one PUT", "two parts"])
def test_plain_fetch_uploads(broker: Broker, tmp_path: Path, size: int) -> None:
    """The functions of clients.md upload a file by one PUT and in parts."""
    content = wav() + bytes(size)
    (tmp_path / "song.wav").write_bytes(content)
    driver = """
import { readFileSync } from "node:fs";
const getToken = async () => process.env.TOKEN;
const file = new File([readFileSync("song.wav")], "song.wav", { type: "audio/wav" });
console.log(JSON.stringify(await uploadFile(file)));
"""
    snippet = block("test: plain fetch").replace(EXAMPLE, broker.url)
    track = node(tmp_path, snippet + driver, TOKEN=token())
    with broker.client() as client:
        link = client.get(f"/downloads/{track['key']}").json()["url"]
    assert digest(fetch(link).content) == digest(content)


def test_backend_confirms(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snippet for the backend confirms an upload with a service's token."""
    monkeypatch.setitem(sys.modules, "httpx", httpx2)
    with broker.client() as client:
        upload = uploaded(client, mp3())
    service = token("backend", scope="broker:service")
    names: dict[str, Any] = {"BROKER": broker.url, "SERVICE_TOKEN": service, "upload_id": upload["uploadId"]}
    with httpx2.Client(trust_env=False, timeout=PATIENCE) as direct:
        monkeypatch.setattr(httpx2, "post", direct.post)
        exec(block("test: backend confirm"), names)
    assert names["track"]["status"] == "ready"


def fields_of(language: str, code: str) -> Iterator[str]:
    """Yield the names of the members that are decoded from JSON."""
    if language == "swift":
        for body in re.findall(r"struct \w+: Decodable[^{]*\{(.*?)^\}", code, re.MULTILINE | re.DOTALL):
            yield from re.findall(r"let (\w+):", body)
    else:
        for body in re.findall(r"@Serializable\ndata class \w+\((.*?)\)\n", code, re.DOTALL):
            yield from re.findall(r"val (\w+):", body)


@pytest.mark.parametrize("language", ["swift", "kotlin"])
def test_mobile_snippets_use_names_of_the_api(language: str) -> None:
    """The decoded members, the sent members and the paths exist in openapi.yaml."""
    document = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
    properties = set(re.findall(r"^\s+(\w+): ?(?:\{|$)", document, re.MULTILINE))
    (found,) = (found for found in noted("names") if found.note == f"names: {language}")
    decoded = set(fields_of(language, found.text))
    assert {"uploadId", "partSize", "partCount", "receipt", "requestId"} <= decoded
    sent = set(re.findall(r'(?:"(\w+)": |(?:put|putJsonArray)\("(\w+)")', found.text))
    assert {name for pair in sent for name in pair if name} | decoded <= properties
    paths = set(re.findall(r'"(/uploads[^"]*)"', re.sub(r"\\\(.*?\)|\$\{.*?\}", "{uploadId}", found.text)))
    assert len(paths) == 3
    assert {f"/api/v1{path}" for path in paths} <= yaml.safe_load(document)["paths"].keys()


def test_documented_options_are_those_of_the_types() -> None:
    """The tables of clients.md have each option and each own error code of the browser client."""
    types = (ROOT / "broker" / "web" / "static" / "broker-upload.d.ts").read_text(encoding="utf-8")
    names = "Memory|Token|Transfer|File|Upload"
    interfaces = re.findall(rf"interface (?:{names})Options\b[^{{]*\{{(.*?)\n\}}", types, re.DOTALL)
    options = [name for body in interfaces for name in re.findall(r"^  (\w+)\??: ", body, re.MULTILINE)]
    documented = [name for row in table(PAGE, "option") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(documented) == sorted(options)
    codes = [name for row in table(PAGE, "`code`") for name in re.findall(r"`(\w+)`", row[0])]
    own = re.search(r"or one of the client:(.*?)\*/", types, re.DOTALL)
    assert own
    assert sorted(codes) == sorted(re.findall(r"`(\w+)`", own[1]))
