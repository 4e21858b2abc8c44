"""The image of ``deploy/Dockerfile``, on a base of Debian's own packages.

Registries of images are not needed. The base has Debian's Python in place of the one that the Dockerfile names.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from .programs import BUILD, buildah, run

ROOT: Final = Path(__file__).parents[2]
BASE: Final = "localhost/debian-python"
NAME: Final = "localhost/r2-upload-broker"
SUITE: Final = "bookworm"
INCLUDED: Final = "ca-certificates,python3,python3-venv"


def make_base() -> None:
    """Make the base image, unless there is one."""
    if buildah("images", "--quiet", "--filter", f"reference={BASE}"):
        return
    tree = BUILD / "base"
    shutil.rmtree(tree, ignore_errors=True)
    run("debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, tree)
    archive = BUILD / "base.tar"
    run("tar", "--directory", tree, "--create", "--file", archive, ".")
    shutil.rmtree(tree)
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, archive, "/")
    buildah("commit", "--quiet", "--rm", container, BASE)
    archive.unlink()


def build() -> None:
    """Build the image. pip trusts the CA of ``PIP_CERT``, as it does outside."""
    volumes: list[str | Path] = []
    if certificate := os.environ.get("PIP_CERT"):
        (BUILD / "pip.conf").write_text("[global]\ncert = /run/ca.crt\n", encoding="ascii")
        volumes = ["--volume", f"{BUILD / 'pip.conf'}:/etc/pip.conf:ro", "--volume", f"{certificate}:/run/ca.crt:ro"]
    options = ("--isolation", "chroot", "--format", "docker", "--pull-never", "--build-arg", f"BASE={BASE}", *volumes)
    buildah("bud", "--quiet", *options, "--file", ROOT / "deploy" / "Dockerfile", "--tag", NAME, ROOT)


def sizes() -> tuple[int, int]:
    """Return the bytes of the image on a disk, and as it is pulled, with compressed layers."""
    archive = BUILD / "image.tar"
    archive.unlink(missing_ok=True)
    buildah("push", "--quiet", NAME, f"oci-archive:{archive}")
    pulled = archive.stat().st_size
    archive.unlink()
    container = buildah("from", NAME)
    try:
        tree = Path(buildah("mount", container))
        return sum(path.lstat().st_size for path in tree.rglob("*")), pulled
    finally:
        buildah("rm", container)
