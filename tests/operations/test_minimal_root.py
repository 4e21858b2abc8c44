"""The root folder of the container image, made of the files and locks that the Dockerfile copies."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .topology import ROOT

pytestmark = pytest.mark.operations

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
USER = 12_345
CERTIFICATES = """
import os, ssl
context = ssl.create_default_context()
folder = ssl.get_default_verify_paths().openssl_capath
assert len([name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]) > 100
"""


def run(*words: str | Path, cwd: Path | None = None) -> None:
    """Run a program; print what it wrote if it fails."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the wheel of the copied files into a new environment."""
    folder = tmp_path_factory.mktemp("image")
    source, target, uv = folder / "src", folder / "environment", Path(sys.executable).with_name("uv")
    for names, place in re.findall(r"^COPY (?!--from)(.+) (\S+)$", DOCKERFILE, re.MULTILINE):
        for path in (path for name in names.split() for path in ROOT.glob(name)):
            copy = source / place.removeprefix("/")
            if path.is_dir():
                shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                copy.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
    run(sys.executable, "-m", "venv", "--without-pip", target)
    install = (uv, "pip", "install", "--quiet", "--no-deps", "--python", target)
    run(*install, "--require-hashes", "--requirement", source / "deploy" / "requirements.lock")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", cwd=source)
    run(*install, *(source / "dist").glob("*.whl"))
    (target / ".lock").unlink(missing_ok=True)  # of uv
    run(sys.executable, ROOT / "deploy" / "image" / "minimal_root.py", target, folder / "root")
    yield target
    shutil.rmtree(folder)


def inside(environment: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of the environment in the new root, as a user that is not in its list."""
    assert os.geteuid() == 0, "chroot(8) needs root"
    line = ["chroot", f"--userspec={USER}:{USER}", str(environment.with_name("root"))]
    program = str(environment / "bin" / words[0])
    return subprocess.run(
        [*line, program, *words[1:]], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )


def check_broker(environment: Path) -> None:
    """Run the broker as a user without a name, where nothing but the copied files exists."""
    assert inside(environment, "broker", "--version").stdout.startswith("broker ")
    demo = inside(environment, "broker", "demo")
    assert (demo.returncode, "r2-upload-broker[demo]" in demo.stderr) == (2, True)


def check_certificates(environment: Path) -> None:
    """Check that OpenSSL finds the certificates of public authorities."""
    done = inside(environment, "python3", "-c", CERTIFICATES)
    assert done.returncode == 0, done.stderr


def check_modules(environment: Path) -> None:
    """Check that all modules are compiled, and not checked again when they are imported (PEP 552)."""
    package = next(
        (environment.with_name("root") / environment.relative_to("/")).glob("lib/python3*/site-packages/broker")
    )
    modules = list(package.rglob("*.py"))
    compiled = [path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc" for path in modules]
    assert {path.read_bytes()[4:8] for path in compiled} == {(1).to_bytes(4, "little")}


def check_programs(environment: Path) -> None:
    """Check that there is no shell, no package manager and no file that every user may write, except /tmp."""
    found = [*environment.with_name("root").rglob("*")]
    assert not {path.name for path in found} & {"sh", "bash", "dash", "pip", "apt-get", "dpkg"}
    assert [path for path in found if not path.is_symlink() and path.stat().st_mode & 0o002] == [
        environment.with_name("root") / "tmp"
    ]


def test_minimal_root_is_enough(environment: Path) -> None:
    """The broker runs in a root with its interpreter, its packages and their libraries, and with nothing else."""
    check_broker(environment)
    check_certificates(environment)
    check_modules(environment)
    check_programs(environment)
