"""The rules and the dashboard in a real Prometheus, which reads brokers with faults.

One test, because several processes of pytest would start everything several times: pytest-xdist 3.8 does not see the
groups of tests under pytest 9.2.
"""

import math
from typing import Any, Final

import pytest

from .conftest import EXPECTED, KILLED, Seen
from .rule_files import RULES, alerts, dashboard, panels, rules

WITHOUT_DATA: Final = {"Errors of Redis"}
"""Panels that are empty in these deployments."""

_VARIABLES: Final = {"$__rate_interval": "5m", "$__range": "30m", "$job": ".+", "$instance": ".+"}


def has_numbers(seen: Seen, expression: str) -> bool:
    """Return whether an expression has a number at the end of the faults."""
    series = seen.prometheus.query(expression, seen.ended_at)
    return any(not math.isnan(float(one["value"][1])) for one in series)


def expression_of(target: dict[str, Any]) -> str:
    """Return a query of the dashboard with the values of all variables."""
    expression: str = target["expr"]
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def check_texts(firing: list[dict[str, Any]]) -> None:
    """Check that each alert has the link to its section of the runbook, and no unresolved template."""
    links = {alert["alert"]: alert["annotations"]["runbook_url"] for alert in alerts()}
    for alert in firing:
        texts = alert["annotations"]
        assert texts["runbook_url"] == links[alert["labels"]["alertname"]]
        assert not any("{{" in text or "<no value>" in text or "error" in text[:20] for text in texts.values())
    descriptions = {alert["labels"]["alertname"]: alert["annotations"]["description"] for alert in firing}
    assert "most of them with the code content_mismatch." in descriptions["BrokerRefusalsRising"]


def empty_panels(seen: Seen) -> set[str]:
    """Return the titles of the panels that have a query without a number."""
    return {
        panel["title"]
        for panel in panels()
        if not all(has_numbers(seen, expression_of(target)) for target in panel["targets"])
    }


@pytest.mark.operations
def test_each_fault_fires_its_alerts(seen: Seen) -> None:
    """Each fault fires its alerts and no other, the healthy broker none, and all queries of the dashboard have data."""
    assert seen.fired == EXPECTED
    assert len(seen.firing) == len(EXPECTED)
    check_texts(seen.firing)
    assert seen.fired_after_kill == {*EXPECTED, KILLED}
    assert empty_panels(seen) == WITHOUT_DATA
    (marks,) = dashboard()["annotations"]["list"]
    assert has_numbers(seen, expression_of(marks))
    assert [rule["record"] for rule in rules(RULES[0]) if not has_numbers(seen, rule["record"])] == []
