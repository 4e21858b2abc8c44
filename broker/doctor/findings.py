"""The findings of an examination: what was checked, with which result, and what to do. Pure values."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The result of one check. Only ``FAILED`` makes an examination fail."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"
    """It does not apply, or could not be checked; that is not a fault of the deployment."""


class Hint(StrEnum):
    """The anchors of docs/troubleshooting.md to which findings link."""

    SETTINGS = "the-broker-does-not-start"
    STORE_ADDRESS = "wrong-store-address"
    ACCESS_KEY = "refused-access-key"
    BUCKET = "refused-bucket"
    TOKEN_RIGHTS = "rights-of-the-api-token"  # noqa: S105  # an anchor
    SEPARATE_TOKEN = "api-token-that-reaches-both-buckets"  # noqa: S105  # an anchor
    CLOCK = "wrong-clock"
    SECRET = "derived-secret"  # noqa: S105  # an anchor
    ADMIN_KEY = "admin-key-in-the-service"
    PUBLIC = "public-bucket"
    BEARER = "401-from-the-broker"
    KEYS = "keys-of-the-identity-service"
    CORS = "cors-errors"
    LIFECYCLE = "lifecycle-rules"
    CONFIRM = "409-410-and-422"
    UNAVAILABLE = "trace-a-503-to-its-cause"
    STORE_CHECKS = "store-that-does-not-refuse"
    EVIDENCE = "sha-256-without-evidence"
    DOWNLOADS = "download-links"
    REDIS = "redis-away"
    REMAINS = "remains-of-an-examination"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of an examination. ``name`` is stable: programs may compare it. ``remedy`` is a sentence."""

    name: str
    status: Status
    text: str
    remedy: str = ""
    hint: Hint | None = None


def passed(name: str, text: str) -> Finding:
    """Return the finding of a check that passed."""
    return Finding(name, Status.OK, text)


def warned(name: str, text: str, remedy: str, hint: Hint) -> Finding:
    """Return the finding of something that works, and is likely not intended."""
    return Finding(name, Status.WARNING, text, remedy, hint)


def failed(name: str, text: str, remedy: str, hint: Hint) -> Finding:
    """Return the finding of a check that failed."""
    return Finding(name, Status.FAILED, text, remedy, hint)


def not_checked(name: str, text: str) -> Finding:
    """Return the finding of a check that was not made; ``text`` has the reason."""
    return Finding(name, Status.NOT_CHECKED, text)


@dataclass(frozen=True, slots=True)
class Category:
    """The findings about one part of a deployment."""

    name: str
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of an examination."""

    categories: Sequence[Category]

    @property
    def status(self) -> Status:
        """The worst result: failed, warning or ok."""
        found = {finding.status for category in self.categories for finding in category.findings}
        return next((status for status in (Status.FAILED, Status.WARNING) if status in found), Status.OK)
