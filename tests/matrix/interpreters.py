"""Find the supported Pythons of a machine: on the path, and among pyenv's versions."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

OLDEST = (3, 11)

_NAME = re.compile(r"python3(\.\d+)?")
_VERSION = f"import platform, sys; sys.version_info >= {OLDEST} and print(platform.python_version())"


def folders() -> Iterator[Path]:
    """Yield the folders that may contain a Python."""
    yield from (Path(folder) for folder in os.get_exec_path())
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/*/bin"))


def others(places: Iterable[Path]) -> dict[str, Path]:
    """Return one Python of each version other than this process's, oldest first."""
    found: dict[str, Path] = {}
    for folder in places:
        for path in sorted(folder.glob("python3*")):
            version = _version(path) if _NAME.fullmatch(path.name) else ""
            if version and version != platform.python_version():
                found.setdefault(version, path)
    return dict(sorted(found.items(), key=lambda item: [int(number) for number in re.findall(r"\d+", item[0])]))


def _version(path: Path) -> str:
    """Return the version; empty when it is unsupported or does not run, as a shim of pyenv for an unused version."""
    try:
        done = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
