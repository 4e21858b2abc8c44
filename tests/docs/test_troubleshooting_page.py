"""The fragments of reasons and messages in docs/troubleshooting.md, compared with the texts of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .markdown import ROOT, table

PAGE = ROOT / "docs" / "troubleshooting.md"
VALUE = "\0"
"""Stands for a formatted value in the text of an f-string, and for the status at the end of a fragment."""

NOT_OURS = {"ConnectionRefusedError", "TimeoutError", "gaierror", "NoSuchBucket"}
"""Fragments that the code copies into a reason: classes of Python's exceptions, and an error code of S3."""


def fragments(first_cell: str, column: int) -> list[str]:
    """Return the phrases in code style in a column of the table whose header begins with ``first_cell``."""
    return [phrase for row in table(PAGE, first_cell) for phrase in re.findall(r"`([^`]+)`", row[column])]


def texts(folder: Path) -> Iterator[str]:
    """Yield the text of each string literal in the modules of a folder, except docstrings."""
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            match node:
                case ast.Constant(value=str(text)) if id(node) not in docstrings:
                    yield text
                case ast.JoinedStr(values=parts):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in parts)


TOKENS = "\n".join(texts(ROOT / "broker" / "auth"))
ALL = "\n".join(texts(ROOT / "broker"))


@pytest.mark.parametrize("fragment", fragments("`reason` contains", 0))
def test_reason_of_a_401_exists(fragment: str) -> None:
    """Each fragment of a reason for 401 is part of a text of the code that verifies tokens."""
    assert fragment in TOKENS


@pytest.mark.parametrize("fragment", [one for one in fragments("`code`", 1) if not one.isdecimal()])
def test_reason_of_a_503_exists(fragment: str) -> None:
    """Each fragment of a reason for 503 is part of a text of the code, with any status, or comes from elsewhere."""
    assert fragment in NOT_OURS or re.sub(r"\d+$", VALUE, fragment) in ALL


@pytest.mark.parametrize("fragment", fragments("message", 0))
def test_message_at_start_exists(fragment: str) -> None:
    """Each fragment of a message at start is part of a text of the code."""
    assert fragment in ALL


@pytest.mark.parametrize("fragment", fragments("rule", 0) + fragments("failure", 0))
def test_reason_of_a_key_exists(fragment: str) -> None:
    """Each fragment of a reason for a skipped key or a failed refresh is part of a text of the code."""
    assert fragment in NOT_OURS or fragment in ALL


def test_tables_are_found() -> None:
    """Each of the five tables has its fragments."""
    assert len(fragments("rule", 0)) > 10
    assert len(fragments("failure", 0)) > 5
    assert len(fragments("`reason` contains", 0)) > 10
    assert len(fragments("`code`", 1)) > 10
    assert len(fragments("message", 0)) >= 4
