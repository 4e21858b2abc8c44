"""The names and numbers of docs/runbook.md, compared with the code."""

import re

import pytest
import yaml

from broker.error_codes import Code
from broker.settings.variables import VARIABLES

from .markdown import ROOT, all_blocks, anchors, read, table
from .test_troubleshooting_page import ALL, NOT_OURS, VALUE

PAGE = ROOT / "docs" / "runbook.md"
TEXT = read(PAGE)
ENTRIES = (
    *("store-outage", "identity-outage", "clock-skew", "rising-refusals", "low-success-rate", "event-loop-lag"),
    *("redis-away", "leaked-url-or-token", "rotate-a-secret", "restore", "log-lines-dropped"),
)
"""The anchors to which alerts and ``broker doctor`` link."""

PARTS = ("You see.", "For users.", "Be sure.", "Over")
"""The parts that the entry of each alert has, apart from the work itself."""


def section(anchor: str) -> str:
    """Return the text below the heading of an entry."""
    for each in TEXT.split("\n## ")[1:]:
        if each.splitlines()[0].lower().replace(" ", "-") == anchor:
            return each
    raise AssertionError(anchor)


def phrases(first_cell: str) -> list[str]:
    """Return the phrases in code style in the first column of a table."""
    return [phrase for row in table(PAGE, first_cell) for phrase in re.findall(r"`([^`]+)`", row[0])]


@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_is_an_anchor(entry: str) -> None:
    """Each entry has the anchor to which alerts link."""
    assert entry in anchors(PAGE)
    assert f"(#{entry})" in TEXT


@pytest.mark.parametrize("entry", [row[0].partition("(#")[2].rstrip(")") for row in table(PAGE, "entry") if row[1]])
def test_entry_of_an_alert_is_complete(entry: str) -> None:
    """The entry of each alert says what one sees, what it means, how to be sure, and when it is over."""
    assert [part for part in PARTS if f"**{part}" not in section(entry)] == []


def test_alerts_are_those_of_the_rules() -> None:
    """The table names the alerts that link to each entry, and no others."""
    groups = yaml.safe_load(read(ROOT / "deploy" / "prometheus" / "alert_rules.yml"))["groups"]
    linked: dict[str, set[str]] = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        page, _, entry = rule["annotations"]["runbook_url"].rpartition("/")[2].partition("#")
        if page == PAGE.name:
            linked.setdefault(entry, set()).add(rule["alert"])
    named = {
        row[0].partition("(#")[2].rstrip(")"): set(re.findall("`([^`]+)`", row[1])) for row in table(PAGE, "entry")
    }
    assert {entry: alerts for entry, alerts in named.items() if alerts} == linked


@pytest.mark.parametrize("fragment", phrases("`reason` contains"))
def test_reason_exists(fragment: str) -> None:
    """Each fragment of a reason is part of a text of the code, with any status, or comes from elsewhere."""
    assert fragment in NOT_OURS or re.sub(r"\d+$", VALUE, fragment) in ALL


@pytest.mark.parametrize("code", phrases("`code`"))
def test_code_exists(code: str) -> None:
    """Each error code of the table of refusals exists."""
    assert code in set(Code)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("UPLOAD_URL_LIFETIME", "15 minutes"),
        ("UPLOAD_SESSION_LIFETIME", "15 minutes"),
        ("UPLOAD_LIFETIME", "a day"),
        ("JWT_JWKS_MAX_STALE", "a day"),
    ],
)
def test_lifetime_is_the_default(setting: str, text: str) -> None:
    """Each lifetime that stands beside a setting is its default."""
    named = {"15m": "15 minutes", "1d": "a day"}
    assert named[VARIABLES[setting].default] == text
    assert re.search(rf"`{setting}`,? \(?{text}", TEXT)


def test_link_lives_for_65_minutes() -> None:
    """A download link is valid for its lifetime and the window, which the page adds up."""
    assert [VARIABLES[name].default for name in ("DOWNLOAD_URL_LIFETIME", "DOWNLOAD_URL_WINDOW")] == ["1h", "5m"]
    assert "`DOWNLOAD_URL_LIFETIME` plus `DOWNLOAD_URL_WINDOW`, 65 minutes" in TEXT


def metrics(text: str) -> set[str]:
    """Return the names of metrics in a text."""
    return set(re.findall(r"\b((?:broker|process)_[a-z_]+)", text))


def test_queries_name_metrics() -> None:
    """Each metric of a query stands in the table of metrics of operations.md, or is one of each process."""
    queries = "".join(found.text for found in all_blocks() if found.page == PAGE and found.language == "promql")
    known = metrics(read(ROOT / "docs" / "operations.md"))
    assert metrics(queries) - known <= {"process_cpu_seconds_total"}
