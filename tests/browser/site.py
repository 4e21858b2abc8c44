"""A page, a broker and a store on three origins, and a proxy that records and disturbs the requests to the store."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from playwright.sync_api import Page

from broker.cli.seaweedfs import SeaweedFS
from broker.crypto.sigv4 import Credentials
from broker.store import admin
from tests.e2e.processes import Broker, token
from tests.faults.proxy import FaultProxy
from tests.http_server import GetHandler, serving, url_of
from tests.media import mp3

BUCKET = "media-bucket"

PAGE = """<!doctype html><title>A page of the product</title><link rel="icon" href="data:,">
<input type="file" id="files" multiple>
<script type="module">
  import * as client from "%(broker)s/static/broker-upload.js";
  const told = ({ name, code, message, retryable, status, requestId, errors }) =>
    ({ name, code, message, retryable, status, requestId, errors });
  window.client = client;
  window.tokens = [];
  window.unfinished = () => client.unfinished({ broker: "%(broker)s" });
  window.discard = (known) => client.discard(known, { broker: "%(broker)s", getToken: window.token });
  window.told = told;
  window.common = () => ({
    broker: "%(broker)s",
    getToken: async ({ refresh }) => (window.tokens.push(refresh), window.token(refresh)),
  });
  window.begin = (options = {}, index = 0) => {
    window.progress = [];
    window.heard = [];
    const file = options.blob ?? document.getElementById("files").files[index];
    window.run = client.upload(file, { ...window.common(), ...options });
    window.run.on("progress", (now) => window.progress.push(now));
    window.run.on("phase", (phase) => window.heard.push(["phase", phase]));
    window.run.on("part", (part) => window.heard.push(["part", part]));
    window.run.on("retry", ({ reason, ...rest }) => window.heard.push(["retry", { ...rest, reason: told(reason) }]));
    window.outcome = window.run.done.then((track) => ({ track }), (error) => ({ error: told(error) }));
  };
  window.isLoaded = true;
</script>"""


@dataclass
class Site:
    """The running page server, broker, proxy and store."""

    store: SeaweedFS
    proxy: FaultProxy
    broker: Broker
    origin: str
    environment: dict[str, str]

    def open(self, page: Page, broker: Broker | None = None) -> None:
        """Load the page with the token of a user."""
        page.goto(f"{self.origin}/?{(broker or self.broker).url}")
        page.wait_for_function("window.isLoaded")
        page.evaluate("token => { window.token = () => token; }", token())

    def served(self, key: str) -> str:
        """Return the SHA-256 of an object, read with a presigned download URL."""
        with self.broker.client() as client:
            link = client.get(f"/downloads/{key}").json()["url"]
        digest = hashlib.sha256()
        with httpx2.stream("GET", link, timeout=30, trust_env=False) as response:
            assert response.status_code == 200
            for chunk in response.iter_bytes():
                digest.update(chunk)
        return digest.hexdigest()

    def allow(self, origin: str) -> None:
        """Permit the pages of one other origin at the bucket, instead of the site's own."""
        s3 = admin.connect(self.store.endpoint, Credentials(self.store.access_key_id, self.store.secret_access_key))
        admin.put_cors(s3, BUCKET, [origin])

    def left_behind(self) -> tuple[list[str], list[str]]:
        """Return the keys of the staged objects without the tombstones, and of the open multipart uploads."""
        s3 = admin.connect(self.store.endpoint, Credentials(self.store.access_key_id, self.store.secret_access_key))
        staged = s3.list_objects_v2(Bucket=BUCKET, Prefix="incoming/").get("Contents", [])
        open_uploads = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [found["Key"] for found in staged if found["Size"]], [found["Key"] for found in open_uploads]


class _Handler(GetHandler):
    def get(self) -> None:
        """Serve the page; the query is the URL of its broker."""
        body = (PAGE % {"broker": urlsplit(self.path).query}).encode()
        self.respond(200, body, "text/html; charset=utf-8")


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Site]:
    """Run a site; ``settings`` are added to the settings of the broker."""
    with ExitStack() as stack:
        origin = url_of(stack.enter_context(serving(_Handler)))
        store = stack.enter_context(
            SeaweedFS(folder / "store", "AKBROWSER", "a secret access key of the browser's tests")
        )
        address = urlsplit(store.endpoint)
        proxy = stack.enter_context(FaultProxy(address.hostname or "", address.port or 0))
        s3 = admin.connect(store.endpoint, Credentials(store.access_key_id, store.secret_access_key))
        admin.ensure_bucket(s3, BUCKET)
        admin.put_cors(s3, BUCKET, [origin])
        environment = {
            "R2_ENDPOINT": proxy.endpoint,
            "R2_ACCESS_KEY_ID": store.access_key_id,
            "R2_SECRET_ACCESS_KEY": store.secret_access_key,
            "R2_BUCKET_NAME": BUCKET,
            "BROKER_CORS_ORIGINS": origin,
            "JWT_LEEWAY": "0s",
            **settings,
        }
        broker = stack.enter_context(Broker(folder, environment))
        yield Site(store, proxy, broker, origin, environment)


def song(path: Path, size: int) -> Path:
    """Write a file that begins like an MP3 and has no two equal blocks."""
    digest = hashlib.sha256(b"song").digest()
    with path.open("wb") as file:
        file.write(mp3())
        while file.tell() < size:
            digest = hashlib.sha256(digest).digest()
            file.write(digest * 2048)
        file.truncate(size)
    return path


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
