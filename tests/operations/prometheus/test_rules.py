"""The rules for Prometheus: what each alert carries, and its tests by ``promtool``."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import ProcessCollector

from tests.docs.markdown import ROOT, anchors, table

from .rule_files import CONFIGURATION, RULES, alerts, load, panels, rules, shortened

PAGE: Final = ROOT / "docs" / "monitoring.md"
OPERATIONS: Final = ROOT / "docs" / "operations.md"
TESTS: Final = Path(__file__).with_name("alert_tests.yml")
HOME: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
RUNBOOK: Final = "docs/runbook.md"
SECTIONS: Final = {
    "clock-skew",
    "event-loop-lag",
    "identity-outage",
    "log-lines-dropped",
    "low-success-rate",
    "redis-away",
    "rising-refusals",
    "store-outage",
}
"""The sections of the runbook for alerts."""

ALERTS: Final = alerts()
NAMES: Final = sorted({alert["alert"] for alert in ALERTS})


def promtool(*words: str | Path) -> str:
    """Run ``promtool``, which must succeed, and return its output."""
    program = shutil.which("promtool")
    assert program, "apt-get install --no-install-recommends prometheus"
    run = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def cases_of(name: str) -> list[Sequence[Any]]:
    """Return the expected alerts of each test of the alert ``name``."""
    cases = [case for test in load(TESTS)["tests"] for case in test["alert_rule_test"]]
    return [case["exp_alerts"] for case in cases if case["alertname"] == name]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert['alert']}-{alert['labels']['severity']}")
def test_alert_has_texts(alert: dict[str, Any]) -> None:
    """An alert has a severity, a summary, a description in whole sentences, and a link to an existing section."""
    texts = alert["annotations"]
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert texts.keys() == {"summary", "description", "runbook_url"}
    assert all(texts[name].endswith(".") for name in ("summary", "description"))
    page, _, anchor = texts["runbook_url"].removeprefix(f"{HOME}/blob/main/").partition("#")
    assert anchor in (SECTIONS if page == RUNBOOK else anchors(ROOT / page))


@pytest.mark.parametrize("name", NAMES)
def test_alert_has_promtool_tests(name: str) -> None:
    """``promtool`` tests that each alert fires, with its texts, and that it is quiet."""
    cases = cases_of(name)
    assert all(expected["exp_annotations"] for case in cases for expected in case)
    assert {bool(case) for case in cases} == {True, False}


def test_runbook_sections_have_alerts() -> None:
    """Each section of the runbook for alerts is that of an alert."""
    links = {alert["annotations"]["runbook_url"].rpartition("/")[2] for alert in ALERTS}
    assert {link.partition("#")[2] for link in links if link.startswith("runbook.md#")} == SECTIONS
    assert anchors(ROOT / RUNBOOK) >= SECTIONS


def test_page_lists_alerts() -> None:
    """The page has each alert in the order of the rules, with its severity and the time after which it fires."""
    rows = [(row[0].strip("`"), row[1], row[3]) for row in table(PAGE, "alert")]
    assert rows == [
        (alert["alert"], alert["labels"]["severity"], _in_words(alert.get("for", "at once"))) for alert in ALERTS
    ]


def _in_words(duration: str) -> str:
    number = duration.removesuffix("m")
    return duration if number == duration else f"after {number} minute{'s' * (number != '1')}"


def test_page_lists_recording_rules() -> None:
    """The page has each recording rule."""
    names = [name for row in table(PAGE, "series") for name in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(names) == sorted(rule["record"] for rule in rules(RULES[0]))


def test_recorded_series_are_recorded() -> None:
    """Each recorded series that a rule uses is one of the recording rules."""
    recorded = {rule["record"] for rule in rules(RULES[0])}
    used = {name for path in RULES for rule in rules(path) for name in re.findall(r"\bjob[a-z_]*:[\w:]+", rule["expr"])}
    assert used <= recorded


def test_durations_are_shortened() -> None:
    """Durations become shorter; numbers, names and labels stay."""
    text = 'increase(x_rate5m{code="5m"}[5m] offset 1d) > 300'
    assert shortened(text.replace('"5m"', '"a"'), 60) == 'increase(x_rate5m{code="a"}[5000ms] offset 1440000ms) > 300'


def test_metrics_exist() -> None:
    """The rules and the dashboard use only metrics of the broker, of its process, and of Prometheus itself."""
    listed = {name for row in table(OPERATIONS, "metric") for name in re.findall(r"`([^`]+)`", row[0])}
    known = {*listed, *of_the_process()}
    expressions = [rule["expr"] for path in RULES for rule in rules(path)]
    expressions += [target["expr"] for panel in panels() for target in panel["targets"]]
    used = {name for text in expressions for name in re.findall(r"(?<![:\w])(?:broker|process)_\w+", text)}
    assert {name.removesuffix("_bucket") for name in used} <= known
    assert "broker_store_breaker_open" in used


def of_the_process() -> set[str]:
    """Return the names of the metrics of a process."""
    families = ProcessCollector(registry=None).collect()
    return {sample.name for family in families for sample in family.samples}


@pytest.mark.operations
def test_promtool_accepts_rules() -> None:
    """``promtool`` accepts the rules and the example of a configuration, without a complaint."""
    assert "15 rules found" in promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)
    promtool("check", "config", "--lint=all", "--lint-fatal", CONFIGURATION)


@pytest.mark.operations
def test_alerts_fire_and_are_quiet() -> None:
    """Each alert fires with exactly its texts where it must, and is quiet near its limits."""
    assert "SUCCESS" in promtool("test", "rules", TESTS)
