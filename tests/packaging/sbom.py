"""``python -m tests.packaging.sbom``: write a bill of materials and the licences of the service, and check these.

Both are made from an environment that has exactly the packages of the production lock, with their hashes. The tools
have an environment of their own.
"""

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from tests.python_environments import BUILD, install

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
FOLDER: Final = BUILD / "sbom"
UV: Final = Path(sys.executable).with_name("uv")


def allowed_licences() -> Collection[str]:
    """Return the licences that packages of the service may have."""
    lines = (DEPLOY / "sbom" / "licences.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def refused(licences: Mapping[str, str], allowed: Collection[str]) -> dict[str, str]:
    """Return the packages whose licence is not allowed. Of alternatives one is enough, of several all are needed."""
    return {name: licence for name, licence in licences.items() if not _is_allowed(licence, allowed)}


def _is_allowed(licence: str, allowed: Collection[str]) -> bool:
    """Return the result; an expression with parentheses must itself be in the list."""
    return any(all(part in allowed for part in re.split(" AND |; ", each)) for each in licence.split(" OR "))


def make(lock: Path) -> dict[str, str]:
    """Write ``<lock>.cdx.json`` and ``<lock>.licences.md``; return the licence of each package."""
    environment, tools, name = FOLDER / lock.stem, install(DEPLOY / "sbom"), lock.stem
    _run(UV, "venv", "--quiet", "--clear", "--python", sys.executable, environment)
    _run(UV, "pip", "sync", "--quiet", "--require-hashes", "--python", environment, lock)
    project = ("--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--output-format", "JSON")
    _run(tools / "cyclonedx-py", "environment", *project, "-o", FOLDER / f"{name}.cdx.json", environment)
    licences = (tools / "pip-licenses", "--python", environment / "bin" / "python", "--from=mixed", "--with-urls")
    (FOLDER / f"{name}.licences.md").write_text(_run(*licences, "--format=markdown"), encoding="utf-8")
    return {found["Name"]: found["License"] for found in json.loads(_run(*licences, "--format=json"))}


def _run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def run() -> None:
    """Write the files; end with one line if a licence is not allowed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = DEPLOY / "requirements.lock"
    licences = make(lock)
    locked = re.findall(r"^([\w-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert {_normal(name) for name in licences} <= {_normal(name) for name in locked}
    if wrong := refused(licences, allowed_licences()):
        sys.exit(f"not in deploy/sbom/licences.txt: {', '.join(f'{name} ({text})' for name, text in wrong.items())}")
    print(f"{len(licences)} packages, all with an allowed licence: {FOLDER.relative_to(ROOT)}")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PyPA, specification of normalized names


if __name__ == "__main__":
    run()
