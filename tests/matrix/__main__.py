"""``python -m tests.matrix KIND``: print a result for each entry of the kind; exit 1 if one failed."""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from . import interpreters
from .environments import BUILD, LOCK, ROOT, failed_tests, make, uv

Row = tuple[str, Callable[[], list[str]]]
"""The name of an entry, and the check; it returns what failed."""

RESOLUTIONS = ("lowest-direct", "highest")
PLATFORMS = {
    "glibc, x86-64": "x86_64-manylinux2014",
    "glibc, arm64": "aarch64-manylinux2014",
    "musl, x86-64": "x86_64-unknown-linux-musl",
    "musl, arm64": "aarch64-unknown-linux-musl",
    "macOS, arm64": "aarch64-apple-darwin",
    "Windows, x86-64": "x86_64-pc-windows-msvc",
}
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def pythons() -> Iterator[Row]:
    """Run the unit tests on each other Python of this machine."""
    for version, path in interpreters.others(interpreters.folders()).items():
        yield f"Python {version} ({path})", partial(_failures_on, version, path)


def ends() -> Iterator[Row]:
    """Run the unit tests on the oldest and the newest of the other Pythons of this machine."""
    yield from itertools.islice(pythons(), 1)
    yield from deque(itertools.islice(pythons(), 1, None), 1)


def bounds() -> Iterator[Row]:
    """Run the unit tests with the lowest and the newest version of each dependency that pyproject.toml allows."""
    for resolution in RESOLUTIONS:
        yield resolution, partial(_failures_with, resolution)


def platforms() -> Iterator[Row]:
    """Resolve ``deploy/requirements.lock`` to wheels for each platform and Python; install and execute nothing."""
    for name, platform in PLATFORMS.items():
        for version in VERSIONS:
            yield f"{name}, Python {version}", partial(_missing_wheels, platform, version)


def production() -> Iterator[Row]:
    """Run the installation commands of docs/getting-started.md in new environments, with hashes and without boto3."""
    yield "installation without Docker", _installs


def _failures_on(version: str, path: Path) -> list[str]:
    return failed_tests(make(version, path))


def _failures_with(resolution: str) -> list[str]:
    over = BUILD / f"{resolution}.txt"
    chosen = ("--resolution", resolution, "--python", sys.executable, "--upgrade")
    uv("pip", "compile", "--no-header", "--no-annotate", *chosen, "pyproject.toml", "--output-file", over)
    locked = {line.split(" ")[0] for line in LOCK.read_text(encoding="utf-8").splitlines()}
    if locked.issuperset(over.read_text(encoding="utf-8").split()):
        return []  # `make test` has run with these versions
    return failed_tests(make(resolution, Path(sys.executable), over))


def _missing_wheels(platform: str, version: str) -> list[str]:
    wanted = ("--requirement", ROOT / "deploy" / "requirements.lock", "--require-hashes", "--only-binary", ":all:")
    place = ("--python-platform", platform, "--python-version", version, "--target", BUILD / "nowhere")
    try:
        uv("pip", "install", "--quiet", "--dry-run", "--no-deps", *wanted, *place)
    except subprocess.CalledProcessError as error:
        return [f"uv ended with status {error.returncode}"]
    return []


def _installs() -> list[str]:
    """Run the page's commands in a new environment; ``broker demo`` then names its extra and exits 2.

    The page makes the environment below the home folder.
    """
    home = BUILD / "production"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    page = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    commands = page.split("<!-- run by: make production -->\n```sh\n")[1].split("```")[0]
    folder = home / "broker-venv"
    environment = {**os.environ, "PIP_QUIET": "1", "HOME": str(home), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run(["sh", "-ec", commands], cwd=ROOT, env=environment, check=True)
    demo = subprocess.run([folder / "bin" / "broker", "demo"], capture_output=True, text=True, check=False)
    expected = demo.returncode == 2 and "r2-upload-broker[demo]" in demo.stderr
    return [] if expected else [f"broker demo ended with status {demo.returncode}: {demo.stderr}"]


def _main() -> int:
    kinds = {kind.__name__: kind for kind in (pythons, ends, bounds, platforms, production)}
    parser = argparse.ArgumentParser(prog="python -m tests.matrix")
    parser.add_argument("kind", choices=kinds)
    BUILD.mkdir(parents=True, exist_ok=True)
    lines, bad = [], False
    for name, check in kinds[parser.parse_args().kind]():
        began = time.monotonic()
        failures = check()
        bad = bad or bool(failures)
        lines.append(f"{'FAILED' if failures else 'passed'}  {name}  {time.monotonic() - began:.0f} s")
        print(lines[-1], flush=True)
        lines += [f"        {failure}" for failure in failures]
    print("\n".join(["", *lines]))
    return bad


if __name__ == "__main__":
    sys.exit(_main())
