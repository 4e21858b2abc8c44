"""What a broker wrote into its log since one looked last."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.processes import Broker


class Journal:
    """The log of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._path: Path = broker._log
        self._at = 0

    def news(self) -> list[dict[str, Any]]:
        """The lines that are new."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            whole, _, _ = log.read().rpartition(b"\n")
        self._at += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line]


def accidents(lines: list[dict[str, Any]]) -> list[str]:
    """What must never be there: a failure that nobody foresaw, or an error of the server."""
    return [json.dumps(line) for line in lines if line["event"] == "accident" or line.get("level") == "error"]


def said(lines: list[dict[str, Any]]) -> str:
    """Its own words on the store and the identity service, and the most frequent reasons of refusals."""
    told = Counter(_words(line) for line in lines if line["event"] in ("store", "jwks"))
    reasons = Counter(_reason(line) for line in lines if line.get("status") == 503)
    parts = [words + _times(count) for words, count in told.items()]
    parts += [f"503 because {reason}{_times(count)}" for reason, count in reasons.most_common(2)]
    return "; ".join(parts) or "nothing"


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


def _words(line: dict[str, Any]) -> str:
    reason = f" ({line['reason']})" if "reason" in line else ""
    return f'{line["event"]} "{line["outcome"]}"{reason}'


def _reason(line: dict[str, Any]) -> str:
    """Without the name of the store's operation."""
    operation, _, rest = str(line.get("reason", line.get("code"))).partition(" ")
    return f'"… {rest}"' if operation[:1].isupper() else f'"{operation} {rest}"'
