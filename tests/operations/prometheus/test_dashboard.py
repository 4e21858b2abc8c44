"""The dashboard for Grafana: its form, its texts and its variables."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from .rule_files import alerts, dashboard, panels

DASHBOARD: Final = dashboard()
PANELS: Final = panels()
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24
"""Columns of Grafana's grid."""

SELECTED: Final = '{job=~"$job", instance=~"$instance"'


def title_of(panel: dict[str, Any]) -> str:
    return str(panel["title"])


def lost(document: Any, read: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of values that differ or are missing in ``read``; further values in it are defaults."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from lost(value, read.get(name, ...), f"{path}/{name}")
    elif isinstance(document, list):
        for index, (value, other) in enumerate(zip(document, read, strict=True)):
            yield from lost(value, other, f"{path}/{index}")
    elif document != read:
        yield path


def test_grafana_model_knows_every_field() -> None:
    """Grafana's model of the JSON has each field of the dashboard, and keeps its value."""
    register_default_plugins()
    read = json.loads(json.dumps(Dashboard.from_json(DASHBOARD), cls=JSONEncoder))
    assert list(lost(DASHBOARD, read)) == []
    assert list(lost({**DASHBOARD, "titel": 1}, read)) == ["/titel"]


@pytest.mark.parametrize("panel", PANELS, ids=title_of)
def test_panel_has_texts(panel: dict[str, Any]) -> None:
    """A panel has a title, a description in whole sentences, and a unit."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", PANELS, ids=title_of)
def test_queries_use_the_variables(panel: dict[str, Any]) -> None:
    """Each query of a panel has a legend, the chosen data source, and selects the chosen jobs and instances."""
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE
        assert target["legendFormat"]
        names = re.findall(r"\b(?:broker|process)_[a-z_]+", target["expr"])
        assert target["expr"].count(SELECTED) == len(names) > 0


def test_variables_are_defined() -> None:
    """The dashboard lets its reader choose the data source, the jobs and the instances."""
    variables = DASHBOARD["templating"]["list"]
    assert [(one["type"], one["name"]) for one in variables] == [
        ("datasource", "datasource"),
        ("query", "job"),
        ("query", "instance"),
    ]


def test_dashboard_links_to_the_runbook() -> None:
    """The dashboard links to the runbook of the alerts."""
    (link,) = DASHBOARD["links"]
    assert {alert["annotations"]["runbook_url"].partition("#")[0] for alert in alerts()} >= {link["url"]}


def test_panels_do_not_overlap() -> None:
    """Each panel has a number and a place of its own in the grid."""
    shown = DASHBOARD["panels"]
    assert max(Counter(panel["id"] for panel in shown).values()) == 1
    places = [panel["gridPos"] for panel in shown]
    assert all(place["x"] + place["w"] <= WIDTH for place in places)
    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert is_beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
