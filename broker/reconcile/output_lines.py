"""The lines of the output: one for each finding and deletion, and the counts at the end; as text and as JSON."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from broker.core.upload_rules import DAY

from .comparison import Counts, Finding

DELETED: Final = "deleted"
FAILED: Final = "failed"


class Lines(Protocol):
    """One form of the output."""

    def finding(self, finding: Finding) -> str:
        """Return the line of a finding."""
        ...

    def deletion(self, key: str, reason: str | None = None) -> str:
        """Return the line of a deleted object, or of one that was not deleted for ``reason``."""
        ...

    def summary(self, counts: Counts, deletions: Mapping[str, int], age: int) -> str:
        """Return the lines at the end. ``age`` is the grace period in seconds."""
        ...


class TextLines:
    """Text: the kind, the date, the size in bytes, and the key at the end, because it may have blanks."""

    def finding(self, finding: Finding) -> str:
        """Return the line of a finding."""
        stored = finding.stored
        date, size = (_date(stored.last_modified), str(stored.size)) if stored else ("-", "-")
        return f"{finding.kind:12}  {date:20}  {size:>12}  {_printable(finding.key)}"

    def deletion(self, key: str, reason: str | None = None) -> str:
        """Return the line of a deletion."""
        name = _printable(key)
        return f"{DELETED:12}  {name}" if reason is None else f"{FAILED:12}  {name}: {reason}"

    def summary(self, counts: Counts, deletions: Mapping[str, int], age: int) -> str:
        """Return the counts."""
        lines = [
            f"{counts.objects} objects, {counts.referenced} of them referred to",
            f"{counts.unreferenced} unreferenced objects with {counts.unreferenced_bytes} bytes",
            f"{counts.recent} unreferenced objects younger than {_days(age)}, which are kept",
            f"{counts.foreign} foreign objects, which are kept",
            f"{counts.missing} keys without an object",
        ]
        if deletions:
            lines.append(f"{deletions[DELETED]} deleted, {deletions[FAILED]} failed")
        return "\n".join(lines)


class JsonLines:
    """JSON: one object in each line, the last of which has the kind ``summary``."""

    def finding(self, finding: Finding) -> str:
        """Return the line of a finding."""
        stored = finding.stored
        facts = {"size": stored.size, "lastModified": _date(stored.last_modified)} if stored else {}
        return json.dumps({"kind": finding.kind, "key": finding.key, **facts})

    def deletion(self, key: str, reason: str | None = None) -> str:
        """Return the line of a deletion."""
        return json.dumps({"kind": DELETED, "key": key} if reason is None else _failed(key, reason))

    def summary(self, counts: Counts, deletions: Mapping[str, int], age: int) -> str:
        """Return the counts."""
        members = {
            "objects": counts.objects,
            "referenced": counts.referenced,
            "unreferenced": counts.unreferenced,
            "unreferencedBytes": counts.unreferenced_bytes,
            "recent": counts.recent,
            "missing": counts.missing,
            "foreign": counts.foreign,
        }
        return json.dumps({"kind": "summary", **members, **deletions, "olderThan": age})


FORMATS: Final[Mapping[str, type[Lines]]] = {"text": TextLines, "json": JsonLines}
"""The class of each output format."""


def _failed(key: str, reason: str) -> dict[str, str]:
    return {"kind": FAILED, "key": key, "reason": reason}


def _date(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _days(seconds: int) -> str:
    return f"{seconds / DAY:g} days"


def _printable(key: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in key)
