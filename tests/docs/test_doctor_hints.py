"""The hints of ``broker doctor``, compared with docs/troubleshooting.md."""

import ast
import re

import pytest

from broker.doctor.findings import Hint

from .markdown import ROOT, anchors, read

PAGE = ROOT / "docs" / "troubleshooting.md"
DOCTOR = ROOT / "broker" / "doctor"
COMPLAINTS = {"failed", "warned"}


def complaints() -> set[str]:
    """Return the names of all complaints in the code; a part that varies is an asterisk."""
    found: set[str] = set()
    for path in DOCTOR.glob("*_checks.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in COMPLAINTS:
                name = node.args[0]
                if isinstance(name, ast.Constant):
                    found.add(str(name.value))
    return found


@pytest.mark.parametrize("hint", Hint)
def test_hint_is_an_anchor(hint: Hint) -> None:
    """Each hint is the anchor of a heading of the page."""
    assert hint in anchors(PAGE)


def test_named_findings_exist() -> None:
    """Each finding that the page names in a table or a paragraph of the doctor is in the code."""
    section = read(PAGE).partition("## Findings of broker doctor")[2]
    named = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", section))
    code = "\n".join(path.read_text(encoding="utf-8") for path in DOCTOR.glob("*.py"))
    stems = {name.removesuffix("-not-refused") for name in named}
    assert [stem for stem in stems if f'"{stem}' not in code] == []


def test_complaints_are_explained() -> None:
    """Each complaint with a name of its own is explained on the page, or its text and link say all."""
    own = {"setting-wrong", "store-not-configured", "store-call-failed", "store-unavailable"}
    tables = {"keys-unavailable", "keys-unusable", "key-skipped", "token-refused", "confirm-refused"}
    cors = {name for name in complaints() if name.startswith("cors-")}
    others = {"download-other-bytes"}
    text = read(PAGE)
    unexplained = {name for name in complaints() if f"`{name}`" not in text}
    assert unexplained <= own | tables | cors | others
