"""The programs that build and run an image on Debian without Docker: debootstrap, buildah and runc."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

PACKAGES: Final = ("buildah", "debootstrap", "runc")
"""Debian's packages. Each has a program of its name."""

BUILD: Final = Path(__file__).parents[2] / "build" / "image"
"""The folder of all that is made."""


def check() -> None:
    """End with one line if a program is missing or if the process is not root's."""
    missing = [name for name in PACKAGES if not shutil.which(name)]
    if missing or os.geteuid():
        raise SystemExit(f"It needs root, and: apt-get install --no-install-recommends {' '.join(PACKAGES)}")


def run(*words: str | Path) -> str:
    """Run a program with low priority, and return its output; raise ``CalledProcessError``."""
    done = subprocess.run(["nice", "-n", "10", *words], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def buildah(*words: str | Path) -> str:
    """Run buildah with a storage of its own. Its driver and its isolation work inside of containers, too."""
    place = ("--root", BUILD / "store", "--runroot", BUILD / "run", "--storage-driver", "vfs")
    return run("buildah", *place, *words)
