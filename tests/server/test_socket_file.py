"""The file of a Unix socket: which files are replaced, which are refused, and which are removed."""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from broker.server import socket_file
from broker.server.exits import Exit, StartError
from broker.server.socket_file import SocketFile


@contextmanager
def at(path: Path) -> Iterator[SocketFile]:
    """Listen at ``path``, and remove nothing at the end."""
    file = SocketFile(path)
    with closing(file.listener):
        yield file


def refusal(path: Path) -> str:
    """Return the text of the error of a path that cannot be used."""
    with pytest.raises(StartError) as caught:
        SocketFile(path)
    assert caught.value.status == Exit.CANNOT_LISTEN
    text = str(caught.value)
    assert text.startswith("cannot listen on ")
    assert len(text.splitlines()) == 1
    return text


def test_client_connects(tmp_path: Path) -> None:
    """A client connects at the path, and the permissions are those that the umask leaves."""
    path = tmp_path / "broker.sock"
    before = os.umask(0o007)
    try:
        with at(path), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o770
    finally:
        os.umask(before)


def test_stale_file_is_replaced(tmp_path: Path) -> None:
    """The file of a process that ended without removing it is replaced."""
    path = tmp_path / "broker.sock"
    for _ in range(3):
        with at(path), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert path.is_socket()


def fill(listener: socket.socket, clients: list[socket.socket]) -> None:
    """Connect until the queue of a listener that accepts nothing is full."""
    while True:
        client = socket.socket(socket.AF_UNIX)
        clients.append(client)
        client.setblocking(False)
        if client.connect_ex(listener.getsockname()):
            return


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_live_socket_is_refused(tmp_path: Path, kind: socket.SocketKind) -> None:
    """A socket that another process has open stays, whatever its type, also with a full queue."""
    path = tmp_path / "broker.sock"
    clients: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(path))
        if kind == socket.SOCK_STREAM:
            other.listen(0)
            assert "another process uses this socket. Stop it" in refusal(path)
            fill(other, clients)
        inode = path.stat().st_ino
        assert "another process uses this socket. Stop it" in refusal(path)
        assert path.stat().st_ino == inode
    for client in clients:
        client.close()


def link_to_stale_socket(path: Path) -> None:
    """Make a symbolic link to the file of a socket that nobody has open."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path.with_name("stale")))
    path.symlink_to("stale")


OTHERS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_text("precious"),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to a socket": link_to_stale_socket,
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_kinds_of_files_stay(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A file that is not a socket is refused and stays as it was."""
    path = tmp_path / "broker.sock"
    make(path)
    before = path.lstat()
    assert refusal(path).endswith("it exists and is not a socket. Remove it, or choose another --uds.")
    assert path.lstat() == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 120, "path too long. Choose another --uds."),
        ("absent/broker.sock", "no such file or directory. Create its folder first."),
        ("file/broker.sock", "not a directory. Choose another --uds."),
    ],
)
def test_impossible_path_is_named(tmp_path: Path, name: str, reason: str) -> None:
    """One line names the path, the reason and the remedy."""
    (tmp_path / "file").write_text("")
    text = refusal(tmp_path / name)
    assert text.startswith(f"cannot listen on {tmp_path / name}: ")
    assert text.endswith(reason)


def test_odd_path_is_escaped(tmp_path: Path) -> None:
    """A line feed in the path does not break the line."""
    path = tmp_path / "a\nb"
    path.write_text("")
    assert "a\\nb" in refusal(path)


def test_socket_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket stays if it is unknown whether a process has it open."""
    path = tmp_path / "broker.sock"
    with at(path):
        pass
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: errno.EACCES)
    assert "permission denied. Choose a --uds in a folder of the user" in refusal(path)
    assert path.is_socket()


def test_second_start_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits for the lock of the folder, and gives up after a while."""
    path = tmp_path / "broker.sock"
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with monkeypatch.context() as patch:
        patch.setattr(socket_file, "LOCK_WITHIN", 0.1)
        assert "Another process has locked the folder" in refusal(path)
    monkeypatch.setattr("time.sleep", lambda _: os.close(folder))
    with at(path):
        assert path.is_socket()


def test_own_file_is_removed_once(tmp_path: Path) -> None:
    """The file is removed, and a file that another process then makes at the path stays."""
    path = tmp_path / "broker.sock"
    with at(path) as first:
        first.remove()
        assert not path.exists()
        with at(path):
            first.remove()
            assert path.is_socket()


def test_file_of_another_is_not_removed(tmp_path: Path) -> None:
    """A file that has taken the place of the own one stays, and a missing one is not an error."""
    path = tmp_path / "broker.sock"
    with at(path) as first, at(tmp_path / "other.sock") as second:
        (tmp_path / "other.sock").rename(path)
        first.remove()
        assert path.is_socket()
        second.remove()
