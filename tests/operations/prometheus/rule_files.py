"""The rules of ``deploy/prometheus`` and the dashboard of ``deploy/grafana``, as data, and rules with shorter times."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from tests.docs.markdown import ROOT

FOLDER: Final = ROOT / "deploy" / "prometheus"
RULES: Final = (FOLDER / "recording_rules.yml", FOLDER / "alert_rules.yml")
CONFIGURATION: Final = FOLDER / "prometheus.yml"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "broker.json"

_MILLISECONDS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"\b(\d+)([smhd])\b")


def load(path: Path) -> Any:
    """Return the document in a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rules of all groups of a file."""
    for group in load(path)["groups"]:
        yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    """Return all alerts."""
    return list(rules(RULES[1]))


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    document: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return document


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard, without the rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def shortened(text: str, speed: int) -> str:
    """Divide every duration of an expression, such as 5m, by ``speed``."""
    return _DURATION.sub(lambda found: f"{int(found[1]) * _MILLISECONDS[found[2]] // speed}ms", text)


def shortened_rules(path: Path, speed: int) -> Any:
    """Return a file of rules with every duration divided by ``speed``, in expressions and in ``for``."""
    document = copy.deepcopy(load(path))
    for group in document["groups"]:
        for rule in group["rules"]:
            rule["expr"] = shortened(rule["expr"], speed)
            if "for" in rule:
                rule["for"] = shortened(rule["for"], speed)
    return document
