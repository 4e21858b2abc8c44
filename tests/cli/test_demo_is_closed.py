"""Other users of the machine and web pages cannot read or write the data of a running ``broker demo``."""

import json
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import httpx2
import pytest

from broker.cli import seaweedfs_tls
from broker.cli.demo import BUCKET
from broker.crypto.sigv4 import Credentials
from broker.store import admin
from tests.e2e.test_demo import demo
from tests.server.occupied import family, files, tcp_listeners, unix_listeners

CANARY = b"canary bytes that somebody stored"
KEY = "canary-key/song.mp3"
PLANTED = "planted"
FORM = (
    f'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n{PLANTED}.txt\r\n'
    f'--x\r\nContent-Disposition: form-data; name="file"; filename="{PLANTED}.txt"\r\n'
    "Content-Type: text/plain\r\n\r\nplanted bytes\r\n--x--\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = 4
"""The type of the first frame of an HTTP/2 server (RFC 9113, section 3.4)."""
NO_TLS = rb"HTTP/1\.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server\.\n"
ALERT = rb"\x15\x03.{5}"


@dataclass(frozen=True, slots=True)
class Running:
    """A demo with objects in its store."""

    pid: int
    folder: Path
    broker: int
    inner: dict[str, int]
    """The ports of the store, by the name of their option."""
    file_id: str
    """The id of the first object at the volume server."""

    @property
    def ports(self) -> set[int]:
        """Return all ports on which its processes listen."""
        return {port for _, port in tcp_listeners(family(self.pid))}

    def inside(self, service: str) -> httpx2.Client:
        """Return an HTTP client of a service of the store, with the certificate."""
        address = f"https://127.0.0.1:{self.inner[service + '.port']}"
        headers = {"Accept": "application/json"}
        tls = seaweedfs_tls.client_context(self.folder)
        return httpx2.Client(base_url=address, verify=tls, headers=headers, trust_env=False)

    def names(self, folder: str = "/") -> Iterator[str]:
        """Yield the paths of all entries of the filer."""
        with self.inside("filer") as client:
            entries = client.get(folder).json()["Entries"] or []
        for entry in entries:
            yield entry["FullPath"]
            if entry["Mode"] & 1 << 31:
                yield from self.names(entry["FullPath"] + "/")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a demo with a few objects, in a folder that was open to all users."""
    folder = tmp_path_factory.mktemp("open")
    folder.chmod(0o755)
    with demo("--data", str(folder)) as (process, printed):
        keys = json.loads((folder / "s3.json").read_text())["identities"][0]["credentials"][0]
        lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in family(process.pid)]
        inner = {
            name: int(port) for name, port in re.findall(r"-([a-z0-9]+\.port[.a-z]*)=([1-9]\d*)\0", "".join(lines))
        }
        client = admin.connect(
            f"http://127.0.0.1:{inner['s3.port']}", Credentials(keys["accessKey"], keys["secretKey"])
        )
        for key in (KEY, "another.mp3"):
            client.put_object(Bucket=BUCKET, Key=key, Body=CANARY)
        broker = re.search(r"http://127\.0\.0\.1:(\d+)/demo#", printed)
        assert broker
        demo_of = Running(process.pid, folder, int(broker[1]), inner, "")
        with demo_of.inside("filer") as filer:
            entry = filer.get(f"/buckets/{BUCKET}/{KEY}", params={"metadata": "true"}).json()
        yield Running(process.pid, folder, int(broker[1]), inner, entry["chunks"][0]["file_id"])
        assert client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == CANARY


def requests(file_id: str) -> Iterator[bytes]:
    """Yield the requests of a web page or another user: every known way to read, to list and to write."""
    reads = [
        *("/", "/ui/index.html", "/status", "/metrics", "/stats/memory", "/debug/pprof/", "/demo", f"/{file_id}"),
        *(f"/buckets/{BUCKET}/{KEY}", f"/{BUCKET}/{KEY}", "/buckets/", f"/buckets/{BUCKET}/?pretty=y"),
        *(f"/{BUCKET}?list-type=2", f"/{BUCKET}?uploads", f"/buckets/{BUCKET}/{KEY}?metadata=true"),
        *("/dir/status", "/dir/assign", "/dir/lookup?volumeId=1", "/cluster/status", "/vol/status"),
        f"/api/v1/downloads/{KEY}",
    ]
    writes = ["/", "/submit", f"/buckets/{BUCKET}/", f"/buckets/{BUCKET}/{PLANTED}.txt", f"/{BUCKET}", f"/{file_id}"]
    calls = [
        *(("GET", path, "") for path in reads),
        *(("POST", path, FORM) for path in writes),
        *(("PUT", path, "planted bytes") for path in (f"/{BUCKET}/{PLANTED}.txt", *writes)),
        *(("DELETE", path, "") for path in (f"/{BUCKET}/{KEY}", f"/buckets/{BUCKET}/{KEY}", f"/{file_id}")),
    ]
    for (method, path, body), origin in product(calls, ("", "Origin: https://page.example\r\n")):
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAccept: application/json\r\n{origin}"
        )
        kind = "Content-Type: multipart/form-data; boundary=x\r\n" if body == FORM else ""
        yield f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def without_certificate(*protocols: str) -> ssl.SSLContext:
    """Return the TLS context of a client that has no certificate and verifies none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def send(port: int, words: bytes, tls: ssl.SSLContext | None, *, once: bool = False) -> bytes:
    """Send ``words``; return the response, or with ``once`` its first chunk. It is empty if the connection breaks."""
    received = b""
    try:
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        with tls.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain as stream:
            stream.sendall(words)
            while chunk := stream.recv(1 << 16):
                received += chunk
                if once:
                    break
    except (ssl.SSLError, ConnectionError):
        pass
    return received


def test_seq12_no_credentials(running: Running) -> None:
    """A request of a web page or of another user reads no stored byte, learns no key and stores no file."""
    assert {running.broker, *running.inner.values()} == running.ports
    anybody = without_certificate()
    for port, words, tls in product(running.ports, requests(running.file_id), (None, anybody)):
        response = send(port, words, tls)
        for secret in (CANARY[:12], b"another.mp3", b'"fid"'):
            assert secret not in response, (port, words)
        if port not in {running.broker, running.inner["s3.port"]}:
            assert re.fullmatch(b"(%s|%s)?" % (NO_TLS, ALERT), response, re.DOTALL), (port, words)
        elif not words.startswith(b"GET"):
            assert not response.startswith(b"HTTP/1.1 2"), (port, words)
    assert not [name for name in running.names() if PLANTED in name]


def test_seq12_no_certificate(running: Running) -> None:
    """A gRPC connection without a certificate does not receive the first frame of the server."""
    with_certificate = seaweedfs_tls.client_context(running.folder)
    with_certificate.set_alpn_protocols(["h2"])
    for port in running.ports:
        for tls in (None, without_certificate("h2")):
            response = send(port, PREFACE, tls, once=True)
            assert re.fullmatch(rb"(HTTP/1\.[01] 40.*|%s)?" % ALERT, response, re.DOTALL), port
    for name, port in running.inner.items():
        if name.endswith(".grpc"):
            assert send(port, PREFACE, with_certificate, once=True)[3] == SETTINGS, name


def test_seq12_with_certificate(running: Running) -> None:
    """With the certificate the same objects and lists can be read: only the certificate was missing."""
    with running.inside("filer") as filer, running.inside("volume") as volume, running.inside("master") as master:
        assert filer.get(f"/buckets/{BUCKET}/{KEY}").content == CANARY
        assert volume.get(f"/{running.file_id}").content == CANARY
        assert "fid" in master.get("/dir/assign").json()
    assert f"/buckets/{BUCKET}/{KEY}" in set(running.names())


def test_seq12_file_modes(running: Running) -> None:
    """Only the owner can open the files and sockets, even in a folder that was open before."""
    pids = family(running.pid)
    sockets = {running.folder / path for path in unix_listeners(pids)}
    opened = {path for path in files(pids) if path.is_relative_to("/tmp")}
    made = {running.folder, *running.folder.rglob("*")}
    modes = {path: mode for path in made | sockets | opened if (mode := mode_of(path))}
    assert {f"{kind}{bits}" for kind, bits in modes.values()} <= {"d700", "s700", "-600", "-644"}
    described = {path for path, mode in modes.items() if mode == ("-", "644")}
    assert {path.suffix for path in described} == {".vif"}, "SeaweedFS gives them this mode; they describe a volume"
    assert all(CANARY not in path.read_bytes() and KEY.encode() not in path.read_bytes() for path in described)
    assert all(running.folder in path.parents for path in described)
    assert {running.folder, running.folder / "seaweedfs.log", running.folder / "inner.key"} <= set(modes)
    assert len(sockets) == 6


def mode_of(path: Path) -> tuple[str, str] | None:
    """Return type and permissions of a file; None if it was removed meanwhile."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    return stat.filemode(mode)[0], f"{mode & 0o777:o}"
