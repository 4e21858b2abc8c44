"""The report of an examination as text, as short text, and as JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from .findings import Category, Finding, Report, Status

PAGE: Final = "docs/troubleshooting.md"
"""The page whose anchors the hints are."""

SYMBOLS: Final[Mapping[Status, str]] = MappingProxyType(
    {Status.OK: "√", Status.WARNING: "‼", Status.FAILED: "\N{MULTIPLICATION SIGN}", Status.NOT_CHECKED: "-"}
)
"""The first character of a finding's line."""


def as_text(report: Report) -> str:
    """Return all findings, under the names of their categories."""
    lines: list[str] = []
    for category in report.categories:
        lines += [category.name, "-" * len(category.name)]
        for finding in category.findings:
            lines += _lines(finding, finding.text)
        lines.append("")
    return "\n".join([*lines, _summary(report), ""])


def as_short_text(report: Report) -> str:
    """Return only the warnings and failures, each with the name of its category."""
    lines: list[str] = []
    for category, finding in _complaints(report):
        lines += _lines(finding, f"{category.name}: {finding.text}")
    return "\n".join([*lines, _summary(report), ""])


def as_json(report: Report) -> str:
    """Return one JSON document."""
    categories = [
        {"name": category.name, "findings": [_members(finding) for finding in category.findings]}
        for category in report.categories
    ]
    return json.dumps({"status": report.status, "categories": categories}, indent=2, ensure_ascii=False) + "\n"


FORMATS: Final[Mapping[str, Callable[[Report], str]]] = MappingProxyType(
    {"text": as_text, "short": as_short_text, "json": as_json}
)
"""The function of each output format."""


def _lines(finding: Finding, text: str) -> Iterator[str]:
    yield f"{SYMBOLS[finding.status]} {text}"
    if finding.remedy:
        yield f"    {finding.remedy}"
    if finding.hint:
        yield f"    see {PAGE}#{finding.hint}"


def _members(finding: Finding) -> dict[str, str | None]:
    hint = f"{PAGE}#{finding.hint}" if finding.hint else None
    return {
        "name": finding.name,
        "status": finding.status,
        "text": finding.text,
        "remedy": finding.remedy or None,
        "hint": hint,
    }


def _complaints(report: Report) -> Iterator[tuple[Category, Finding]]:
    for category in report.categories:
        for finding in category.findings:
            if finding.status in (Status.WARNING, Status.FAILED):
                yield category, finding


def _summary(report: Report) -> str:
    status = report.status
    complaints = [finding for _, finding in _complaints(report)]
    failures = sum(finding.status is Status.FAILED for finding in complaints)
    text = f"{failures} failed, {len(complaints) - failures} with a warning" if complaints else "no complaint"
    return f"Status: {SYMBOLS[status]} {text}"
