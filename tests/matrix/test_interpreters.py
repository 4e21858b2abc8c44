"""The search for the Pythons of a machine."""

import os
import platform
import sys
from pathlib import Path

import pytest

from .interpreters import folders, others


def script(path: Path, body: str) -> None:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_each_other_version_is_found_once(tmp_path: Path) -> None:
    """The first Python of each version is found, oldest first; broken, old and other programs are ignored."""
    for name, body in {
        "python3": "echo 3.99.2",
        "python3.99": "echo 3.99.2",
        "python3.9": "",  # prints nothing, because it is older than 3.11
        "python3.12": "echo 3.12.1; exit 127",
        "python3-config": "echo 3.98.0",
        "python3.98": "echo 3.98.0",
        "python3.100": f"echo {platform.python_version()}",
    }.items():
        script(tmp_path / name, body)
    (tmp_path / "python3.15").symlink_to("nowhere")
    (tmp_path / "later").mkdir()
    script(tmp_path / "later" / "python3", "echo 3.98.0")
    found = others([tmp_path / "none", tmp_path, tmp_path / "later"])
    assert found == {"3.98.0": tmp_path / "python3.98", "3.99.2": tmp_path / "python3"}
    assert list(found) == ["3.98.0", "3.99.2"]


def test_the_running_version_is_not_found(tmp_path: Path) -> None:
    """A Python of the same version as this process is left out."""
    (tmp_path / "python3").symlink_to(sys.executable)
    assert others([tmp_path]) == {}


def test_the_path_and_pyenv_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders are those of ``PATH``, then those of ``PYENV_ROOT``."""
    kept = tmp_path / "versions" / "3.98.0" / "bin"
    kept.mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", os.pathsep.join(["/one", "/two"]))
    assert [*folders()] == [Path("/one"), Path("/two"), kept]
