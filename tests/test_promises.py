"""PROMISES.md names the test of each sentence of README's list and of each clause of SECURITY.md's table."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "tests/PROMISES.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "tests/" in line
]
HELD_BY = [row[-1] for row in ROWS]


def sentences() -> list[str]:
    """Return the sentences of README's list, without the bold words before them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    items = text.split("What you can rely on\n")[1].split("\n## ")[0].strip().split("\n- ")
    plain = [re.sub(r"^(- )?\*\*[^*]+\*\* ", "", " ".join(item.split())) for item in items]
    return [sentence for item in plain for sentence in re.split(r"(?<=\.) (?=[A-Z])", item)]


def clauses() -> list[tuple[str, str]]:
    """Return the subject and one clause for each clause of SECURITY.md's first table."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.split("| somebody with | can | cannot |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [(who, clause) for who, *cells in rows for cell in cells for clause in cell.split("; ") if clause]


def test_readme_sentences_have_tests() -> None:
    """Each sentence of README's list stands in PROMISES.md, in order and word by word."""
    assert [row[0] for row in ROWS if len(row) == 2] == sentences()


def test_security_clauses_have_tests() -> None:
    """Each clause of SECURITY.md's first table stands in PROMISES.md, in order and word by word."""
    assert [(row[0], row[1]) for row in ROWS if len(row) == 3] == clauses()


@pytest.mark.parametrize("held_by", sorted(set(HELD_BY)))
def test_named_test_exists(held_by: str) -> None:
    """Each test that PROMISES.md names exists."""
    path, _, name = held_by.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
