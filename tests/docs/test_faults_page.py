"""The reasons in the last table of deploy/FAULTS.md, compared with the texts of the code."""

import re

import pytest

from .markdown import ROOT, table
from .test_troubleshooting_page import ALL, VALUE

ROWS = table(ROOT / "deploy" / "FAULTS.md", "in the log")
REASONS = [phrase for row in ROWS for phrase in re.findall(r"`… ([^`]+)`", row[0])]


@pytest.mark.parametrize("reason", REASONS)
def test_reason_in_the_log_exists(reason: str) -> None:
    """Each fragment of a reason is part of a text of the code, with any status."""
    assert re.sub(r"\d+$", VALUE, reason) in ALL


def test_reasons_are_found() -> None:
    """The table has its fragments."""
    assert len(REASONS) >= 4
