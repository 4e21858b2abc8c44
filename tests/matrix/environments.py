"""Create virtual environments below ``build/matrix`` with uv, and run the unit tests in them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "matrix"
LOCK = ROOT / "tests" / "requirements.lock"

UNIT = [
    *(
        "tests/core",
        "tests/crypto",
        "tests/http_client",
        "tests/settings",
        "tests/auth",
        "tests/store",
        "tests/service",
        "tests/web",
        "tests/server",
    ),
    *("tests/cli", "tests/packaging", "tests/test_architecture.py"),
]
"""Tests that need neither a store nor Node, with the exceptions in ``LEFT_OUT``."""

LEFT_OUT = [
    *("tests/store/test_admin.py", "tests/store/test_seaweedfs.py", "tests/cli/test_demo_is_closed.py"),
    "tests/web/test_another_server.py",
]
"""Tests that need a store, and a test that repeats the others."""


def uv(*words: str | Path) -> None:
    """Run the uv of this environment, without downloads of Pythons; raises ``CalledProcessError``."""
    line: list[str | Path] = [Path(sys.executable).with_name("uv"), *words]
    subprocess.run(line, cwd=ROOT, check=True, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"})


def make(name: str, python: Path, over: Path | None = None) -> Path:
    """Create an environment from the lock of the tests, then install the versions in ``over``; return its Python."""
    folder = BUILD / name
    uv("venv", "--quiet", "--clear", "--python", python, folder)
    uv("pip", "sync", "--quiet", "--require-hashes", "--python", folder, LOCK)
    if over:
        uv("pip", "install", "--quiet", "--no-deps", "--python", folder, "--requirement", over)
    uv("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", folder, "--editable", ROOT)
    return folder / "bin" / "python"


def failed_tests(python: Path) -> list[str]:
    """Run the unit tests and print what they print; return the lines of pytest's summary that name a failure."""
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    line: list[str | Path] = [python, "-m", "pytest", "-n", "2", "-q", "-p", "no:cacheprovider", *ignored, *UNIT]
    run = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(run.stdout, flush=True)
    named = [line for line in run.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return named or [f"pytest ended with status {run.returncode}"] * (run.returncode != 0)
