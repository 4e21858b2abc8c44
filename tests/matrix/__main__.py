"""``python -m tests.matrix KIND``: print a result for each entry of the kind; exit 1 if one failed."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from . import interpreters
from .environments import BUILD, ROOT, make, passes, uv

Row = tuple[str, Callable[[], bool]]
"""The name of an entry, and the check; it returns whether it passed."""

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
        yield f"Python {version} ({path})", partial(_passes_on, version, path)


def bounds() -> Iterator[Row]:
    """Run the unit tests with the lowest and the newest version of each dependency that pyproject.toml allows."""
    for resolution in RESOLUTIONS:
        yield resolution, partial(_passes_with, resolution)


def platforms() -> Iterator[Row]:
    """Resolve ``deploy/requirements.lock`` to wheels for each platform and Python; install and execute nothing."""
    for name, platform in PLATFORMS.items():
        for version in VERSIONS:
            yield f"{name}, Python {version}", partial(_has_wheels, platform, version)


def production() -> Iterator[Row]:
    """Run README's installation commands in a new environment, with hashes and without boto3."""
    yield "README's production installation", _installs


def _passes_on(version: str, path: Path) -> bool:
    return passes(make(version, path))


def _passes_with(resolution: str) -> bool:
    over = BUILD / f"{resolution}.txt"
    chosen = ("--resolution", resolution, "--python", sys.executable, "--upgrade")
    uv("pip", "compile", "--no-header", "--no-annotate", *chosen, "pyproject.toml", "--output-file", over)
    return passes(make(resolution, Path(sys.executable), over))


def _has_wheels(platform: str, version: str) -> bool:
    wanted = ("--requirement", ROOT / "deploy" / "requirements.lock", "--require-hashes", "--only-binary", ":all:")
    place = ("--python-platform", platform, "--python-version", version, "--target", BUILD / "nowhere")
    try:
        uv("pip", "install", "--quiet", "--dry-run", "--no-deps", *wanted, *place)
    except subprocess.CalledProcessError:
        return False
    return True


def _installs() -> bool:
    """Install as README says; return whether ``broker demo`` then names its extra and ends with 2."""
    folder = BUILD / "production"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = readme.split("## In production\n\n```sh\n")[1].split("broker serve")[0]
    environment = {**os.environ, "PIP_QUIET": "1", "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run(["sh", "-ec", commands], cwd=ROOT, env=environment, check=True)
    demo = subprocess.run([folder / "bin" / "broker", "demo"], capture_output=True, text=True, check=False)
    return (demo.returncode, "r2-upload-broker[demo]" in demo.stderr) == (2, True)


def _main() -> int:
    kinds = {kind.__name__: kind for kind in (pythons, bounds, platforms, production)}
    parser = argparse.ArgumentParser(prog="python -m tests.matrix")
    parser.add_argument("kind", choices=kinds)
    BUILD.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, good in kinds[parser.parse_args().kind]():
        began = time.monotonic()
        lines.append(f"{'passed' if good() else 'FAILED'}  {name}  {time.monotonic() - began:.0f} s")
        print(lines[-1], flush=True)
    print("\n".join([f"\nchecks: {len(lines)}", *lines]))
    return any(line.startswith("FAILED") for line in lines)


if __name__ == "__main__":
    sys.exit(_main())
