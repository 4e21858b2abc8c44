"""The form of the pages: length, links, width, and a test for each code block."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .markdown import PAGES, ROOT, Block, all_blocks, anchors, links, name_of, noted, outside_code, read, table

WORDS_MAX = 1200
"""Words of README."""

COLUMNS_MAX = 100
"""Characters of a line of prose."""

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

KINDS = ("test", "make", "json", "log", "env", "names", "run by", "not run")
"""The ways in which a code block is tested; CONTRIBUTING.md explains them."""


def test_readme_is_short() -> None:
    """README has at most 1200 words, code and tables included."""
    assert len(read(ROOT / "README.md").split()) <= WORDS_MAX


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to an existing file and, if it names one, to an existing anchor."""
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_prose_is_narrow(page: Path) -> None:
    """Lines outside of code and tables have at most 100 characters."""
    wide = [
        (number, line)
        for number, line in outside_code(page)
        if len(line) > COLUMNS_MAX and not line.lstrip().startswith("|")
    ]
    assert wide == []


@pytest.mark.parametrize("found", all_blocks(), ids=str)
def test_block_has_a_note(found: Block) -> None:
    """Above each code block a comment says how it is tested, or why it is not."""
    kind, _, rest = found.note.partition(": ")
    assert kind in KINDS, f"{found} needs a comment above it"
    assert rest or kind in ("make", "log", "env")
    assert found.language


def test_test_notes_are_unique() -> None:
    """Each block with a test has a name of its own, so that the test cannot run another one."""
    names = [found.note for found in noted("test")]
    assert len(names) == len(set(names))


def test_every_noted_test_exists() -> None:
    """Each name of a noted test occurs in a test."""
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [found.note for found in noted("test") if found.note not in tests] == []


@pytest.mark.parametrize("found", noted("make"), ids=str)
def test_make_blocks_name_targets(found: Block) -> None:
    """Each line of a block for make calls an existing target."""
    for line in found.text.splitlines():
        words = line.partition("#")[0].split()
        assert words[0] == "make"
        targets = [word for word in words[1:] if re.fullmatch(r"[a-z-]+", word)]
        assert len(targets) == 1, line
        assert targets[0] in TARGETS, line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_make_targets_exist(page: Path) -> None:
    """Each target that a page names in its text exists."""
    assert set(re.findall(r"`make (?:[A-Z]+=\S+ )?([a-z-]+)", read(page))) <= TARGETS


def test_contributing_lists_every_target() -> None:
    """CONTRIBUTING.md has a row for each target of the Makefile."""
    rows = table(ROOT / "CONTRIBUTING.md", "command")
    assert {row[0].strip("`").removeprefix("make ") for row in rows} == TARGETS


def test_contributing_lists_every_lock() -> None:
    """CONTRIBUTING.md has a row for each lock file of the repository."""
    rows = {row[0].strip("`") for row in table(ROOT / "CONTRIBUTING.md", "lock file")}
    folders = ("deploy", "tests", "bench", "examples")
    assert rows == {name_of(path) for folder in folders for path in (ROOT / folder).rglob("*.lock")}


def test_contributing_gives_reasons_for_dependencies() -> None:
    """CONTRIBUTING.md has a reason for each dependency in pyproject.toml."""
    text = read(ROOT / "CONTRIBUTING.md").lower()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = re.findall(r'^  "([a-z0-9-]+)(?:\[[^\]]+\])?(?:[<>=;].*)?",', project, re.MULTILINE)
    assert len(names) > 40
    assert [name for name in names if not re.search(rf"^\|.*\b{re.escape(name)}\b", text, re.MULTILINE)] == []


def test_pictures_are_text() -> None:
    """Pictures are SVG documents without embedded images or scripts, and with a title."""
    for path in (ROOT / "docs").rglob("*.svg"):
        root = ET.parse(path).getroot()  # a file of this repository
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert "title" in tags
        assert not tags & {"image", "script", "foreignObject"}
