"""The catalogue is complete, and the test of each row carries its id."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-Z]+\d\d) \| .+ \| (.+) \|$", PAGE, re.MULTILINE)
LAST = {"T": 33, "K": 24, "B": 24, "H": 30, "P": 26, "S": 19, "X": 14, "L": 13, "SEQ": 12, "M": 5, "E": 10}
GROUPS = {group: range(1, last + 1) for group, last in LAST.items()}


def test_catalogue_has_every_row() -> None:
    """The catalogue has every id of every group, in order."""
    assert [row for row, _ in ROWS] == [
        f"{group}{number:02}" for group, numbers in GROUPS.items() for number in numbers
    ]


@pytest.mark.parametrize(("row", "held_by"), ROWS, ids=[row for row, _ in ROWS])
def test_row_has_a_test_or_a_reason(row: str, held_by: str) -> None:
    """Each row names a file with a test of its id, or the reason why it does not apply."""
    if held_by.startswith("does not apply"):
        assert ": " in held_by
        return
    text = (ROOT / held_by).read_text(encoding="utf-8")
    assert re.search(rf"\b{row}\b|_{row.lower()}_", text), f"{held_by} does not name {row}"
