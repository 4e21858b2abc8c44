"""``python3 minimal_root.py ENVIRONMENT ROOT``: copy a virtual environment and all that it needs to a new root folder.

It is run while the image is built. It copies the environment, its interpreter with the standard library, the shared
libraries of both, CA certificates, and the files by which glibc resolves names and users. The base image's shell,
package manager and other programs are left behind.
"""

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_NOT_NEEDED: Final = shutil.ignore_patterns(
    "__pycache__", "config-*", "dist-packages", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter",
    "turtledemo", "_curses*.so", "_tkinter*.so", "readline*.so", "_test*.so", "_xxtest*.so", "_ctypes_test*.so",
)  # fmt: skip
"""Parts of the standard library that only tests, terminals and windows use."""

_FILES: Final = ("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/ssl", "/usr/lib/ssl", "/usr/share/ca-certificates")
"""Where libraries are and names are resolved, OpenSSL's configuration, CA certificates, and the files behind links."""

_USERS: Final = {
    "etc/passwd": "root:x:0:0:root:/:/nonexistent\nbroker:x:65532:65532:broker:/tmp:/nonexistent\n",
    "etc/group": "root:x:0:\nbroker:x:65532:\n",
}

_LIBRARY: Final = re.compile(r"^\t(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
"""A line of ldd(1) with the path of a library that was found."""


def main(environment: Path, root: Path) -> None:
    """Fill the new folder ``root``."""
    standard_library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(environment, _inside(root, environment), symlinks=True)
    shutil.copytree(standard_library, _inside(root, standard_library), symlinks=True, ignore=_NOT_NEEDED)
    for link in _links(environment / "bin" / "python3"):
        if not link.is_relative_to(environment):
            _copy(link, root)
    for library in _libraries([environment / "bin" / "python3", *_extensions(root)]):
        shutil.copy2(library, _inside(root, library))
    for name in _FILES:
        _copy(Path(name), root)
    for name, text in _USERS.items():
        (root / name).write_text(text, encoding="ascii")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    _compile(root, [environment, standard_library])


def _inside(root: Path, path: Path) -> Path:
    """Return the place of an absolute path below ``root``, whose folder exists then."""
    place = root / path.relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _copy(path: Path, root: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, _inside(root, path), symlinks=True, ignore=shutil.ignore_patterns("private"))
    else:
        shutil.copy2(path, _inside(root, path), follow_symlinks=False)


def _links(path: Path) -> Iterator[Path]:
    """Yield a program, and each link on the way to it."""
    while path.is_symlink():
        yield path
        path = path.parent / path.readlink()
    yield path


def _extensions(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.so*") if path.is_file()]


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that the programs are linked with, and the one that glibc loads to end a thread."""
    found: set[Path] = set()
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607
        found |= {Path(name) for name in _LIBRARY.findall(listed)}
    (libc,) = (path for path in found if path.name == "libc.so.6")
    return found | {libc.with_name("libgcc_s.so.1")}  # pthread_cancel(3)


def _compile(root: Path, folders: Iterable[Path]) -> None:
    """Compile all modules. No time of a file counts, because layers of images may change it (PEP 552)."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for folder in folders:
        place = _inside(root, folder)
        if not compileall.compile_dir(place, quiet=1, stripdir=os.fspath(root), prependdir="/", invalidation_mode=mode):
            sys.exit(f"a module in {folder} cannot be compiled")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
