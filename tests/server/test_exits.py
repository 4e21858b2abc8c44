"""The exit statuses are those of the table in docs/operations.md."""

import re
from pathlib import Path

from broker.server.exits import Exit

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_exit_statuses_are_documented() -> None:
    """Each row of the table has the number of a status, and its name in the code as the first words."""
    rows = re.findall(r"^\| (\d) \| ([a-z ]+)\W", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(int(number), name.split(":")[0]) for number, name in rows] == [
        (status.value, status.name.lower().replace("_", " ")) for status in Exit
    ]
