"""The dates in the store's responses as seconds since the Unix epoch; ``None`` for an invalid date."""

from datetime import UTC, datetime


def http_date(text: str) -> int | None:
    """Return the seconds since the Unix epoch of an IMF-fixdate (RFC 9110, section 5.6.7), the only form of S3."""
    try:
        return int(datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def iso_date(text: str) -> int | None:
    """Return the seconds since the Unix epoch of an ISO 8601 instant with a time zone."""
    try:
        moment = datetime.fromisoformat(text)
        return int(moment.timestamp()) if moment.tzinfo else None
    except ValueError:
        return None
