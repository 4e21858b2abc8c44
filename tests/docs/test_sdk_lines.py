"""The lines of sdks.md are those of the programs that ``make sdks`` runs, and its versions those that are installed."""

import json
import re
import textwrap

import pytest

from .markdown import ROOT, Block, noted, read

PAGE = ROOT / "docs" / "sdks.md"
SDKS = ROOT / "tests" / "sdks"
FOUND = [found for found in noted("run by") if found.page == PAGE]


def marked(text: str, begin: str) -> str:
    """Return the lines between two comments, without their indentation."""
    end = begin.replace("begin", "end")
    (found,) = re.findall(rf"^\s*(?://|#) {begin}\n(.*?)^\s*(?://|#) {end}$", text, re.MULTILINE | re.DOTALL)
    return textwrap.dedent(found.replace("\t", "    "))


@pytest.mark.parametrize("found", FOUND, ids=str)
def test_lines_are_those_that_run(found: Block) -> None:
    """Each block has exactly the marked lines of the program that its note names."""
    path, begin = found.note.removeprefix("run by: ").split(", ")
    assert found.text == marked((ROOT / path).read_text(encoding="utf-8"), begin)


def test_every_program_is_shown() -> None:
    """The marked lines of every program are on the page."""
    programs = [path for path in SDKS.iterdir() if path.suffix in (".java", ".kt", ".go", ".ts", ".py")]
    marks = {
        f"run by: tests/sdks/{path.name}, {begin}"
        for path in programs
        for begin in re.findall(r"^\s*(?://|#) ((?:receipt )?begin)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(marks) == 12
    assert marks == {found.note for found in FOUND}


def test_versions_are_those_of_the_locks() -> None:
    """The page names the versions of the generators that the tests install."""
    locks = "".join((SDKS / name).read_text(encoding="utf-8") for name in ("requirements.lock", "tools.lock"))
    packages = json.loads((SDKS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    versions = {
        "openapi-generator": re.findall(r"^openapi-generator-cli==(\d+\.\d+)", locks, re.MULTILINE)[0],
        "openapi-python-client": re.findall(r"^openapi-python-client==(\d+\.\d+)", locks, re.MULTILINE)[0],
        **{name: packages[name].rpartition(".")[0] for name in ("openapi-typescript", "openapi-fetch")},
        "hey-api": packages["@hey-api/openapi-ts"].rpartition(".")[0],
    }
    page = read(PAGE)
    assert [name for name, version in versions.items() if f"{name} {version}" not in page] == []
