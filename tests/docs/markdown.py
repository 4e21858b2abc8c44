"""The pages of the documentation, and their code blocks, links, anchors, tables and prose."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
"""The root folder of the checkout."""

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").glob("*.md"),
        ROOT / "examples" / "README.md",
        *(ROOT / "examples").glob("*/README.md"),
        ROOT / "tests" / "PROMISES.md",
    ]
)
"""Every page for readers."""

_FENCE = re.compile(r"^( *)```(\w*)$")
_NOTE = re.compile(r"^ *<!-- (.+) -->$")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"#{1,6} (.+)")


class Block(NamedTuple):
    """A code block. ``note`` is the comment above it, which says how it is tested; empty if there is none."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """Return the page's path below the root folder."""
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    """Return the text of a page."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page, without the indentation of the list in which they stand."""
    lines = read(page).splitlines()
    start = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if start is None and fence:
            start, language, note = number, fence[2], _NOTE.match(lines[number - 1])
        elif start is not None and line.strip() == "```":
            text = textwrap.dedent("\n".join(lines[start + 1 : number])) + "\n"
            yield Block(page, start + 1, language, note[1] if note else "", text)
            start = None
    assert start is None, f"{name_of(page)} has a code block without an end"


def all_blocks() -> list[Block]:
    """Return the code blocks of all pages."""
    return [block for page in PAGES for block in blocks(page)]


def block(note: str) -> str:
    """Return the text of the only code block with this note."""
    (found,) = (block.text for block in all_blocks() if block.note == note)
    return found


def noted(kind: str) -> list[Block]:
    """Return the blocks whose note is ``kind``, or begins with ``kind`` and a colon."""
    return [block for block in all_blocks() if block.note == kind or block.note.startswith(f"{kind}: ")]


def outside_code(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is not in a code block."""
    in_code = False
    for number, line in enumerate(read(page).splitlines(), start=1):
        if line.strip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, line


def links(page: Path) -> list[str]:
    """Return the targets of the links and images outside of code."""
    return [target for _, line in outside_code(page) for target in _LINK.findall(re.sub(r"`[^`]*`", "", line))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = (_HEADING.fullmatch(line) for _, line in outside_code(page))
    return {re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-") for heading in headings if heading}


def table(page: Path, first_cell: str) -> list[list[str]]:
    """Return the rows below the first header row of the page that begins with ``first_cell``."""
    lines = read(page).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
