"""The snippets of docs/jamsync.md, in Node.js against a broker with JamSync's tokens."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.e2e.processes import JWT_SECRET, Broker
from tests.e2e.steps import mp3
from tests.patience import A_DAY

from .markdown import ROOT, block
from .test_client_snippets import EXAMPLE, node

MEMBERS = {"url", "key", "filename", "mimetype", "size", "isMedia"}
FILE = 'const file = new File([readFileSync("song.mp3")], "My song.mp3", { type: "audio/mpeg" });'


def bearer(**claims: Any) -> str:
    """Return a token of JamSync."""
    return jwt.encode({"id": "clx1", "exp": int(time.time()) + A_DAY, **claims}, JWT_SECRET, algorithm="HS256")


@pytest.fixture(scope="module")
def jamsync(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Broker]:
    """Start a broker for JamSync's tokens."""
    with Broker(tmp_path_factory.mktemp("jamsync"), {**environment, "JWT_SUBJECT_CLAIM": "id"}) as running:
        yield running


@pytest.fixture
def song(tmp_path: Path) -> int:
    """Write a file to upload; return its size."""
    (tmp_path / "song.mp3").write_bytes(mp3())
    return len(mp3())


def test_the_route_uploads(jamsync: Broker, tmp_path: Path, song: int) -> None:
    """Way A: the function of the route returns what the route's callers read."""
    driver = f'import {{ readFileSync }} from "node:fs";\n{FILE}\nconsole.log(JSON.stringify(await uploadToR2(file)));'
    service = bearer(scope="broker:service")
    snippet = f"{block('test: jamsync route')}\n{driver}"
    result = node(tmp_path, snippet, UPLOADS_URL=jamsync.url, UPLOADS_TOKEN=service)
    assert (set(result), result["size"], result["isMedia"]) == (MEMBERS, song, True)


def test_the_page_uploads_with_its_token(jamsync: Broker, tmp_path: Path, song: int) -> None:
    """Way B: the page uploads with a token of the route."""
    client = (ROOT / "broker" / "web" / "static" / "broker-upload.js").as_uri()
    page = block("test: jamsync page").replace(f"{EXAMPLE}/static/broker-upload.js", client)
    module = f"""
import {{ readFileSync }} from "node:fs";
{block("test: jamsync tokens")}
const currentUser = async () => ({{ id: "clx1" }});
const sent = globalThis.fetch;
globalThis.fetch = (url, options) => (url === "/api/upload-token" ? GET() : sent(url, options));
const title = "A song";
const createTrack = async (track) => console.log(JSON.stringify(track));
{FILE}
{page.replace(EXAMPLE, jamsync.url)}
"""
    track = node(tmp_path, module, JWT_SECRET=JWT_SECRET)
    assert (track["title"], track["url"]) == ("A song", None)
    with jamsync.client() as service:
        service.headers["Authorization"] = f"Bearer {bearer()}"
        found = service.get(f"/objects/{track['key']}").json()
    assert (found["owner"], found["filename"], found["size"]) == ("clx1", "My song.mp3", song)


def test_the_backend_passes_requests_on(jamsync: Broker, tmp_path: Path, song: int) -> None:
    """Way C: a form that is sent to the backend gets the response of the broker."""
    module = f"""
import {{ createServer }} from "node:http";
import {{ readFileSync }} from "node:fs";
let handler;
const app = {{ use: (_path, given) => (handler = given) }};
{block("test: jamsync backend")}
const server = createServer((incoming, outgoing) => {{
  incoming.originalUrl = incoming.url;
  handler(incoming, outgoing);
}});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
{FILE}
const form = new FormData();
form.append("file", file);
form.append("title", "A song");
const headers = {{ Authorization: `Bearer ${{process.env.TOKEN}}` }};
const url = `http://127.0.0.1:${{server.address().port}}/api/v1/uploads/media?createTrack=true`;
const response = await fetch(url, {{ method: "POST", headers, body: form }});
console.log(JSON.stringify({{ status: response.status, ...(await response.json()) }}));
server.close();
server.closeAllConnections();
"""
    result = node(tmp_path, module, UPLOADS_URL=jamsync.url, TOKEN=bearer())
    assert (result.pop("status"), set(result), result["size"]) == (201, MEMBERS, song)
