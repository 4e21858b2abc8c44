"""The rules and the dashboard in a real Prometheus, which reads brokers with faults."""

import math
from typing import Any, Final

import pytest

from .conftest import EXPECTED, KILLED, Seen
from .rule_files import RULES, alerts, dashboard, panels, rules

pytestmark = [pytest.mark.operations, pytest.mark.xdist_group("prometheus")]

WITHOUT_DATA: Final = {"Errors of Redis"}
"""Panels that are empty in these deployments."""

_VARIABLES: Final = {"$__rate_interval": "5m", "$__range": "30m", "$job": ".+", "$instance": ".+"}


def expression_of(target: dict[str, Any]) -> str:
    """Return a query of the dashboard with the values of all variables."""
    expression: str = target["expr"]
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def numbers(series: list[dict[str, Any]]) -> list[float]:
    return [value for one in series if not math.isnan(value := float(one["value"][1]))]


def test_each_fault_fires_its_alerts(seen: Seen) -> None:
    """Each fault fires its alerts and no other, and the deployment without a fault fires none."""
    assert seen.fired == EXPECTED


def test_alerts_link_to_the_runbook(seen: Seen) -> None:
    """An alert that fires has the link to its section of the runbook, and no unresolved template."""
    assert len(seen.firing) == len(EXPECTED)
    links = {alert["alert"]: alert["annotations"]["runbook_url"] for alert in alerts()}
    for alert in seen.firing:
        texts = alert["annotations"]
        assert texts["runbook_url"] == links[alert["labels"]["alertname"]]
        assert not any("{{" in text or "<no value>" in text or "error" in text[:20] for text in texts.values())


def test_refusals_name_their_code(seen: Seen) -> None:
    """The alert about refusals names the most frequent code."""
    (text,) = (
        alert["annotations"]["description"]
        for alert in seen.firing
        if alert["labels"]["alertname"] == "BrokerRefusalsRising"
    )
    assert "most of them with the code content_mismatch." in text


def test_killed_broker_is_a_target_down(seen: Seen) -> None:
    """A broker that is killed fires one more alert."""
    assert seen.fired_after_kill == {*EXPECTED, KILLED}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_panel_has_data(seen: Seen, panel: dict[str, Any]) -> None:
    """Each query of a panel runs, and has numbers."""
    for target in panel["targets"]:
        found = seen.prometheus.query(expression_of(target), seen.ended_at)
        assert (panel["title"] in WITHOUT_DATA) == (numbers(found) == []), target["expr"]


def test_dashboard_marks_alerts(seen: Seen) -> None:
    """The query that marks alerts in the dashboard finds those that fire."""
    (marks,) = dashboard()["annotations"]["list"]
    assert seen.prometheus.query(expression_of(marks), seen.ended_at)


@pytest.mark.parametrize("rule", list(rules(RULES[0])), ids=lambda rule: rule["record"])
def test_recorded_series_has_data(seen: Seen, rule: dict[str, Any]) -> None:
    """Each recording rule records numbers."""
    assert numbers(seen.prometheus.query(rule["record"], seen.ended_at))
