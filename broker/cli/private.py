"""Folders and files that no other user of the machine can open."""

import errno
import stat
from pathlib import Path


def make_folder(path: Path) -> None:
    """The folder, closed to others, new or not; raises ``OSError``. A shared one, such as /tmp, stays as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & stat.S_ISVTX:
        raise PermissionError(errno.EPERM, "it is shared with other users", str(path))
    path.chmod(0o700)


def write(path: Path, content: bytes) -> None:
    """The file with this content, closed to others; a file of an earlier run may be open to them."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(content)
