"""Create folders and files that no other user of the machine can open."""

import errno
import stat
from pathlib import Path


def make_folder(path: Path) -> None:
    """Create a folder, or restrict an existing one, to its owner; raise ``OSError``.

    A folder with the sticky bit, such as /tmp, is shared by all users: it is refused and stays as it is.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & stat.S_ISVTX:
        raise PermissionError(errno.EPERM, "it is shared with other users", str(path))
    path.chmod(0o700)


def write(path: Path, content: bytes) -> None:
    """Write a file that only its owner can open; raise ``OSError``.

    ``touch`` does not change the mode of a file that exists, and a file of an earlier run may be open to others.
    """
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(content)
