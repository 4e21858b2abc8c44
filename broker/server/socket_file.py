"""The listening socket at a path, and the file by which clients reach it (unix(7)).

Rules of this module
- Only the file of a socket on which nobody listens is replaced. Every other file stays, whatever its kind.
- Two starts at once cannot take one path: the folder is locked from the check of the file until the socket listens.
- The permissions of the file are those that the umask leaves. On Linux a client needs the permission to write.
- The file is removed while the socket is open, because the number of its inode is then its own.
"""

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .exits import Exit, StartError
from .listeners import BACKLOG, lowercase

LOCK_WITHIN: Final = 5.0
"""Seconds in which the folder must be free of locks. Another start holds one for a moment."""

_RETRY_INTERVAL: Final = 0.05

_REMEDIES: Final = {
    errno.ENOENT: "Create its folder first.",
    errno.EACCES: "Choose a --uds in a folder of the user that runs the broker.",
    errno.EWOULDBLOCK: "Another process has locked the folder: choose another --uds.",
}


class SocketFile:
    """A listening socket, and its file at ``path``; raises ``StartError``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with _locked(path.parent):
                self._remove_stale_file()
                self.listener = _bound(path)
                self._identity: tuple[int, int] | None = _identity(path)
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "Choose another --uds.")
            raise self._refused(f"{lowercase(error.strerror or str(error))}. {remedy}") from None

    def remove(self) -> None:
        """Remove the file once, unless another file has taken its place; call it before the socket is closed."""
        identity, self._identity = self._identity, None
        with suppress(OSError):  # somebody removed it, or the folder is not writable any more
            if identity and _identity(self._path) == identity:
                self._path.unlink()

    def _remove_stale_file(self) -> None:
        """Remove the file of a socket that nobody listens on; raise ``StartError`` for every other file."""
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):  # a symbolic link neither: bind(2) does not follow it
            raise self._refused("it exists and is not a socket. Remove it, or choose another --uds.")
        if _is_in_use(self._path):
            raise self._refused("another process uses this socket. Stop it, or choose another --uds.")
        self._path.unlink()

    def _refused(self, reason: str) -> StartError:
        name = str(self._path)
        return StartError(
            f"cannot listen on {name if name.isprintable() else repr(name)}: {reason}", Exit.CANNOT_LISTEN
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; it ends with the descriptor, and leaves no file (flock(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LOCK_WITHIN
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _is_in_use(path: Path) -> bool:
    """Return whether a process has the socket at ``path`` open; raise ``OSError`` if that cannot be determined.

    The kernel refuses the connection if no process has it (ECONNREFUSED), and otherwise accepts it, has no place in
    the queue (EAGAIN), or names another type of socket (EPROTOTYPE).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        number = probe.connect_ex(str(path))
    if number not in (0, errno.EAGAIN, errno.EPROTOTYPE, errno.ECONNREFUSED):
        raise OSError(number, os.strerror(number))
    return number != errno.ECONNREFUSED


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
