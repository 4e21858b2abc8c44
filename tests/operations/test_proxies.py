"""The configurations of nginx and Caddy: checked by their programs, and whole uploads through them over TLS."""

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from broker.cli.seaweedfs import SeaweedFS
from tests.clients.proxies import program_of
from tests.e2e.forms import BOUNDARY, MEDIA, TAIL, content, file_head, form_length
from tests.e2e.processes import Broker, token
from tests.e2e.steps import digest, mp3, ready, served
from tests.e2e.stores import settings_of, store_with_bucket
from tests.e2e.test_listening import UnixBroker
from tests.http_server import GetHandler, serving
from tests.patience import PATIENCE
from tests.plain_http import NO_TLS
from tests.store.certificates import Authority

from .proxies import FILES, Proxy, nginx, running

pytestmark = pytest.mark.operations

MIB = 2**20
KEEP, BROKER_KEEP = 2.0, 3.0
"""Seconds for which a proxy and the broker keep idle connections: shorter than those of production, in their order."""

SECRET = "SESSION-IN-THE-PATH"


class Echo(GetHandler):
    """An upstream that returns the header fields which it received."""

    def get(self) -> None:
        """Return the fields by their names in lower case."""
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.respond(200, json.dumps(fields).encode(), "application/json")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that the clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Start a store."""
    folder = tmp_path_factory.mktemp("store")
    with store_with_bucket(folder, "AKPROXIES", "a secret access key of the tests", "songs") as started:
        yield started


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, store: SeaweedFS) -> Iterator[Broker]:
    """Start a broker that keeps idle connections for a short time."""
    settings = {**settings_of(store, "songs"), "BROKER_RATE_LIMIT": "0", "BROKER_KEEP_ALIVE": f"{BROKER_KEEP:.0f}s"}
    with Broker(tmp_path_factory.mktemp("broker"), settings) as started:
        yield started


@pytest.fixture(scope="module", params=FILES)
def proxy(
    request: pytest.FixtureRequest, broker: Broker, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Proxy]:
    """Start a proxy in front of the broker."""
    folder = tmp_path_factory.mktemp("proxies") / request.param
    with running(request.param, f"127.0.0.1:{broker.port}", folder, authority, f"{KEEP:.0f}s") as started:
        yield started


def client(proxy: Proxy, authority: Authority, **fields: str) -> httpx2.Client:
    """Return a client of the API that offers HTTP/2 to the proxy."""
    headers = {"Authorization": f"Bearer {token()}", **fields}
    return httpx2.Client(
        base_url=f"{proxy.url}/api/v1",
        headers=headers,
        http2=True,
        verify=authority.trust(),
        timeout=PATIENCE,
        trust_env=False,
    )


def checked(*command: str) -> str:
    """Run a program that checks a configuration; return its messages."""
    done = subprocess.run(
        [program_of(command[0]), *command[1:]], env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_nginx_accepts_its_file(tmp_path: Path, authority: Authority) -> None:
    """``nginx -t`` accepts the file without a warning."""
    authority.server()
    text = nginx(FILES["nginx"].read_text(), "127.0.0.1:8000", tmp_path, authority.folder / "server.pem", 8443)
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    assert "warn" not in checked("nginx", "-t", "-c", str(file))


def test_caddy_accepts_its_file(tmp_path: Path) -> None:
    """``caddy validate`` accepts the file as it is, and ``caddy fmt`` changes nothing."""
    file = str(FILES["caddy"])
    assert "Valid configuration" in checked("caddy", "validate", "--config", file, "--adapter", "caddyfile")
    assert checked("caddy", "fmt", file) == FILES["caddy"].read_text()


def test_main_job_passes(proxy: Proxy, authority: Authority) -> None:
    """An upload by HTTP/2 through the proxy becomes ready, and its link serves the bytes."""
    with client(proxy, authority) as caller:
        track = ready(caller, mp3())
        assert digest(served(caller, track["key"])) == digest(mp3())
        assert caller.get("/uploads/status").http_version == "HTTP/2"


def test_pauses_lose_no_request(proxy: Proxy, authority: Authority) -> None:
    """Creates after pauses around both keep-alive periods succeed: the proxy closes its connections first."""
    declared = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 1000}

    def create_twice(pause: float) -> list[int]:
        with client(proxy, authority) as caller:
            first = caller.post("/uploads", json=declared).status_code
            time.sleep(pause)
            return [first, caller.post("/uploads", json=declared).status_code]

    pauses = [period + difference for period in (KEEP, BROKER_KEEP) for difference in (-0.1, -0.01, 0, 0.01, 0.1)]
    with ThreadPoolExecutor(len(pauses)) as pool:
        assert list(pool.map(create_twice, pauses)) == [[201, 201]] * len(pauses)


def test_large_form_passes(proxy: Proxy, authority: Authority) -> None:
    """A form with a file of 64 MiB becomes a ready object, and the proxy keeps no byte of it on its disk."""
    size = 64 * MIB

    def body() -> Iterator[bytes]:
        yield file_head()
        yield from content(size)
        yield TAIL

    fields = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Length": str(form_length(size))}
    with client(proxy, authority, **fields) as caller:
        response = caller.post(MEDIA.removeprefix("/api/v1"), content=body())
    assert response.status_code == 201, response.text
    assert [path for path in proxy.folder.rglob("*") if path.is_file() and path.stat().st_size > MIB] == []


def test_form_is_streamed(proxy: Proxy, authority: Authority) -> None:
    """The broker refuses a form before its body has arrived: the proxy passes the request on as it comes."""
    host, port = proxy.url.removeprefix("https://").split(":")
    head = f"POST {MEDIA} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer none\r\nContent-Length: {64 * MIB}\r\n"
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE) as plain,
        authority.trust().wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode())
        connection.sendall(file_head())
        assert b" 401 " in first_bytes(connection)


def first_bytes(connection: socket.socket) -> bytes:
    """Send a little more of a body, and again, until a response comes; fail after 300 KiB of 64 MiB.

    Caddy ends a request only while it reads from the client (Go, net/http: the body is locked during a read).
    """
    connection.settimeout(0.2)
    for _ in range(300):
        connection.sendall(bytes(1024))
        with contextlib.suppress(TimeoutError):
            return connection.recv(1 << 12)
    raise AssertionError


def test_logs_hold_no_secret(proxy: Proxy, authority: Authority) -> None:
    """The logs have a line with the request id, and no token, path of a session, upload id, query or presigned URL."""
    with client(proxy, authority, **{"X-Request-Id": "an-id-of-the-client"}) as caller:
        track = ready(caller, mp3())
        redirect = caller.get(f"/downloads/{track['key']}", params={"redirect": "1", "filename": "QUERY.mp3"})
        assert redirect.status_code in (302, 303, 307)
        assert caller.get(f"{proxy.url}/c/{SECRET}/s3/multipart/x").status_code in (401, 404)
        upload_id = caller.post("/uploads", json={"filename": "a.mp3", "contentType": "audio/mpeg", "size": 9}).json()
        caller.get(f"/uploads/{upload_id['uploadId']}")
        caller.get(f"{proxy.url}/s3/multipart/{upload_id['uploadId']}", params={"key": "QUERY"})
    deadline = time.monotonic() + PATIENCE
    while (written := proxy.logs()).count("an-id-of-the-client") < 5 or "/s3/multipart/..." not in written:
        assert time.monotonic() < deadline, written[-2000:]
        time.sleep(0.05)  # a line is written after its response
    hidden = (caller.headers["Authorization"].split(".")[2], SECRET, upload_id["uploadId"], "QUERY", "X-Amz-Signature")
    assert [text for text in hidden if text in written] == []


@pytest.mark.parametrize("name", FILES)
def test_unix_socket_serves(name: str, store: SeaweedFS, tmp_path: Path, authority: Authority) -> None:
    """An upload passes through the proxy to a broker at a Unix socket, which receives the client's address."""
    settings = {**settings_of(store, "songs"), "BROKER_TRUSTED_PROXIES": "unix", "BROKER_ADDRESS_RATE_LIMIT": "1000"}
    with (
        UnixBroker(tmp_path, settings) as broker,
        running(name, f"unix:{broker.path}", tmp_path / name, authority) as proxy,
        client(proxy, authority) as caller,
    ):
        assert ready(caller, mp3())["status"] == "ready"


@pytest.mark.parametrize("name", FILES)
def test_failures_hold_no_session(name: str, tmp_path: Path, authority: Authority) -> None:
    """The log of a failed upstream has no session in a path; that of Caddy has no upload id and no query either."""
    with running(name, "127.0.0.1:9", tmp_path / name, authority) as proxy:
        with client(proxy, authority) as caller:
            assert caller.get(f"{proxy.url}/c/{SECRET}/s3/multipart/x").status_code == 502
            if name == "caddy":
                assert caller.get(f"{proxy.url}/s3/multipart/{SECRET}?key={SECRET}").status_code == 502
            assert caller.get(f"{proxy.url}/healthz").status_code == 502
        deadline = time.monotonic() + PATIENCE
        while "healthz" not in (written := proxy.logs()):
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a line is written after its response
    assert SECRET not in written


@pytest.mark.parametrize("name", FILES)
def test_fields_are_passed_on(name: str, tmp_path: Path, authority: Authority) -> None:
    """The broker receives the client's address, not one that the client claims, and its fields unchanged."""
    claimed = {"X-Forwarded-For": "203.0.113.7", "X-Request-Id": "mine", "Idempotency-Key": "k"}
    with (
        serving(Echo) as upstream,
        running(name, f"127.0.0.1:{upstream.server_port}", tmp_path / name, authority) as proxy,
        client(proxy, authority, **claimed) as caller,
    ):
        received: dict[str, Any] = caller.get(f"{proxy.url}/healthz").json()
    assert (received["x-forwarded-for"], received["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert (received["x-request-id"], received["idempotency-key"]) == ("mine", "k")
    assert received["authorization"] == caller.headers["Authorization"]
    assert received["host"].split(":")[0] == "127.0.0.1"


def test_plain_http_is_redirected(tmp_path: Path, authority: Authority) -> None:
    """With nginx, plain HTTP is redirected to the same URL by HTTPS; Caddy does so by default."""
    with running("nginx", "127.0.0.1:9", tmp_path / "nginx", authority) as proxy:
        port = int(proxy.url.rpartition(":")[2]) + 1
        response = httpx2.get(f"http://127.0.0.1:{port}/api/v1/keys?url=x", trust_env=False, verify=NO_TLS)
    assert (response.status_code, response.headers["location"]) == (308, "https://127.0.0.1/api/v1/keys?url=x")
