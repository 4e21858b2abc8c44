"""``make demo`` in a new checkout: what it installs, what it prints, and how it stops."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.patience import PATIENCE

from .steps import fetch

ROOT = Path(__file__).parents[2]
NEEDED = ("Makefile", "broker", "deploy", "openapi.yaml")
"""The files of the repository that the demo needs."""

PACKAGES_MAX = 40
INSTALLED_MAX_BYTES = 300_000_000

OLD_PYTHON = f"""#!{sys.executable}
import sys
sys.version_info = (3, 10, 14)
exec(sys.argv[2])
"""
"""A program that runs ``-c`` as Python 3.10 would."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the files that the demo needs."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return folder


def make(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run make in ``folder``."""
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


@contextmanager
def demo(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run ``make demo`` in a process group of its own; yield its process and the URL of its broker."""
    command = ["make", "demo", f"PYTHON={sys.executable}", "DEMO=--port 0"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    try:
        found = None
        while not found:
            line = process.stdout.readline()
            assert line, "the demo ended before it printed its page"
            found = re.search(r"(http://\S+)/demo#token=", line)
        yield process, found[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)
        process.stdout.close()


@pytest.mark.network
def test_first_minute(checkout: Path) -> None:
    """``make demo`` installs the demo alone, serves its page, names another port, and ends at Ctrl-C."""
    with demo(checkout) as (process, broker):
        assert fetch(f"{broker}/demo").status_code == 200
        taken = make(checkout, "demo", f"DEMO=--port {broker.rpartition(':')[2]}")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout
        printed = process.stdout.read()
        assert process.wait(PATIENCE) in {0, -signal.SIGINT}
    assert printed.endswith("broker: the demo and its store have stopped.\n")
    assert "address already in use" in taken.stderr
    assert 'make demo DEMO="--port 9000"' in taken.stderr
    assert not (checkout / ".venv").exists()

    installed = checkout / ".venv-demo"
    assert len([*installed.glob("lib/python*/site-packages/*.dist-info")]) <= PACKAGES_MAX
    assert sum(path.lstat().st_size for path in installed.rglob("*")) <= INSTALLED_MAX_BYTES

    assert make(checkout, "clean").returncode == 0
    assert sorted(path.name for path in checkout.iterdir()) == sorted(NEEDED)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_old_python(tmp_path: Path, target: str) -> None:
    """A Python that is too old is named in one line, with the command to use instead, and nothing is installed."""
    for name in ("deploy/demo.lock", "tests/requirements.lock", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / "python3.10"
    python.write_text(OLD_PYTHON, encoding="utf-8")
    python.chmod(0o755)
    refused = make(tmp_path, target, f"PYTHON={python}")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0] == (
        f"Python 3.11 or newer is needed; {python} is Python 3.10. Name a newer one: make {target} PYTHON=python3.13"
    )
    assert [*tmp_path.glob(".venv*")] == []


def test_lock_names_no_host() -> None:
    """The demo's lock holds names, versions and hashes, and no address of an index."""
    lock = (ROOT / "deploy/demo.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert lock.count("==") <= PACKAGES_MAX
    assert lock.count("--hash=sha256:") >= lock.count("==")


def test_lock_is_tested() -> None:
    """The tests run with the versions of the demo's lock."""
    demo, tests = (
        set(re.findall(r"^([a-z0-9.-]+==\S+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE))
        for path in ("deploy/demo.lock", "tests/requirements.lock")
    )
    assert demo <= tests
