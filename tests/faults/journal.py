"""The log of a broker, and its summary for the tables."""

import json
import re
from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.e2e.processes import Broker

OPENED = "broker.store_circuit_opened"
FAILED = "broker.request_failed"
EVENTS = MappingProxyType(
    {
        OPENED: "circuit opened",
        "broker.store_circuit_closed": "circuit closed",
        "broker.jwks_loaded": "keys loaded",
        "broker.jwks_refresh_failed": "keys not refreshed",
    }
)
"""The events that the tables show, with their words there."""


class Journal:
    """The log of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._path: Path = broker._log
        self._at = 0

    def new_lines(self) -> list[dict[str, Any]]:
        """Return the lines since the last call."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            whole, _, _ = log.read().rpartition(b"\n")
        self._at += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line]


def unexpected_lines(lines: list[dict[str, Any]]) -> list[str]:
    """Return the lines that must not exist: unhandled exceptions and errors of the server."""
    return [json.dumps(line) for line in lines if line["event"] == FAILED or line.get("level") == "error"]


def summary(lines: list[dict[str, Any]]) -> str:
    """Return the events about the store and the identity service, and the reasons of refusals by frequency."""
    events = Counter(_words(line) for line in lines if line["event"] in EVENTS)
    reasons = Counter(f"503 because {reason}" for line in lines for reason in refusals(line))
    items = Counter(f"items refused because {reason}" for line in lines for reason in refused_items(line))
    counted = (*events.items(), *reasons.most_common(2), *items.most_common(2))
    return "; ".join(words + _times(count) for words, count in counted) or "nothing"


def opened(lines: list[dict[str, Any]]) -> int:
    """Return how often the circuit breaker opened."""
    return sum(line["event"] == OPENED for line in lines)


def refusals(line: dict[str, Any]) -> list[str]:
    """Return the reason of a request with status 503, in a list."""
    return [_reason(line)] if line.get("status") == 503 else []


def refused_items(line: dict[str, Any]) -> list[str]:
    """Return the reasons of the items of a batch that the store did not serve."""
    return [_reason(item) for item in line.get("failed", ()) if item["code"] == "storage_unavailable"]


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


def _words(line: dict[str, Any]) -> str:
    """Return the words for an event. The reason of a circuit event is that of the refusals, too."""
    has_reason = line["event"].startswith("broker.jwks_") and "reason" in line
    return EVENTS[line["event"]] + (f" ({line['reason']})" if has_reason else "")


def _reason(line: dict[str, Any]) -> str:
    """Return a reason without the name of the S3 operation and without the store's request id."""
    text = re.sub(r", (cf-ray|x-amz-request-id) [^,]+", "", str(line.get("reason", line["code"])))
    operation, _, rest = text.partition(" ")
    return f'"… {rest}"' if operation[:1].isupper() else f'"{text}"'
