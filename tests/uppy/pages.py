"""Pages with the real packages of Uppy and better-upload, a broker and a store on three origins."""

import functools
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request

from tests.browser.site import Site, digest_of
from tests.docs.markdown import block
from tests.e2e.processes import Broker, token
from tests.npm import NODE, install

HERE = Path(__file__).parent
PAGE = """<!doctype html><title>A page of the product</title><link rel="icon" href="data:,">
<div id="dashboard"></div><input type="file" id="files" multiple><script type="module" src="{name}.js"></script>"""


def bundle(folder: Path, notes: Mapping[str, tuple[str, str]]) -> None:
    """Bundle the pages into a folder, and the snippets with these notes, each with a folder of packages."""
    install(HERE)
    snippets = {name: _snippet(*where) for name, where in notes.items()}
    (folder / "snippets.json").write_text(json.dumps(snippets))
    words = [str(NODE), "build.mjs", str(folder), str(folder / "snippets.json")]
    done = subprocess.run(words, cwd=HERE, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("uppy4", "uppy5", "uppy6", "better", *notes):
        (folder / f"{name}.html").write_text(PAGE.format(name=name))


def _snippet(note: str, packages: str) -> dict[str, str]:
    """Return a snippet of the documentation as a module, with what the page around it has."""
    text = block(note)
    for path in ("", "/static/broker-uppy.js", "/s3/presign", "/api/v1/sessions", "/api/upload"):
        text = text.replace(f'"https://broker.example{path}"', f'window.broker + "{path}"')
    before = "const { token } = window; const input = document.getElementById('files');"
    if note == "test: better-upload":
        text = text.replace("const {", "window.upload = async () => { const {", 1)
        text += "return { successful: files.map((it) => ({ body: it.objectInfo })), failed: failedFiles }; };"
    else:
        text += "window.uppy = uppy;"
    imports = "\n".join(line for line in text.splitlines() if line.startswith("import "))
    rest = "\n".join(line for line in text.splitlines() if not line.startswith("import "))
    return {"contents": f"{imports}\n{before}\n{rest}\nwindow.isReady = true;", "packages": str(HERE / packages)}


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder; yield its origin."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@dataclass
class Client:
    """One page with one client in one mode, and the requests that it sent to the broker."""

    page: Page
    site: Site
    origin: str
    name: str
    mode: str

    def __post_init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.page.on("request", self._note)
        self.site.proxy.exchanges.clear()

    def begin(self, *paths: Path, broker: Broker | None = None, **settings: Any) -> None:
        """Open the page, start the client, and choose files, unless there are none."""
        self.page.goto(f"{self.origin}/{self.name}.html")
        self.page.wait_for_function("window.version")
        url = (broker or self.site.broker).url
        self.page.evaluate("it => begin(it)", {"mode": self.mode, "broker": url, "token": token(), **settings})
        if paths:
            self.choose(*paths)

    def choose(self, *paths: Path) -> None:
        """Choose files, and start their upload."""
        self.page.set_input_files("#files", paths)
        self.page.evaluate("add()")
        self.page.evaluate("upload()")

    def outcome(self) -> dict[str, Any]:
        """Return the result of the upload, once it has ended."""
        return dict(self.page.evaluate("window.outcome"))

    def confirmed(self, path: Path, outcome: dict[str, Any] | None = None) -> dict[str, Any]:
        """Assert that the upload ended with a confirmed key, and sent no part twice; return the response."""
        found = outcome or self.outcome()
        assert not found["failed"], found
        (response,) = found["successful"]
        body = dict(response["body"])
        assert body["key"].startswith("media/")
        assert self.site.served(body["key"]) == digest_of(path)
        assert len(self.parts()) == len(set(self.parts()))
        assert self.creates() <= 1
        return body

    def parts(self) -> list[int]:
        """Return the number of each part that the store accepted from the page, repeated ones included."""
        sent = [one for one in self.site.proxy.exchanges if one.part and "x-amz-copy-source" not in one.headers]
        return [one.part or 0 for one in sent if one.status == 200]

    def sent(self, method: str, end: str) -> int:
        """Return the number of requests to the broker with this method and end of the path."""
        return len([call for call in self.calls if call[0] == method and call[1].endswith(end)])

    def creates(self) -> int:
        """Return the number of uploads in parts that were created for the page, not those of the broker's copies."""
        created = [one for one in self.site.proxy.exchanges if one.method == "POST" and "uploads" in one.query]
        return len([one for one in created if "/incoming/" in one.path])

    def _note(self, request: Request) -> None:
        if request.url.startswith(self.site.broker.url):
            self.calls.append((request.method, request.url.split("?")[0]))
