"""The difference between our clock and the store's, by the Date of its responses (RFC 9110, section 6.6.1)."""

from typing import Final

from .dates import http_date

SKEW_REPORTED: Final = 60
"""Seconds between our clock and the store's from which the difference is reported.

URLs are signed by our clock: if it is slow, their lifetime is shorter, and beyond 900 s S3 refuses every request
(RequestTimeTooSkewed).
"""


def is_reported(seconds: float) -> bool:
    """Return whether a difference of these ``seconds`` is so large that it is reported."""
    return abs(seconds) >= SKEW_REPORTED


def skew_text(seconds: float) -> str:
    """Return the reason for the log: our clock is ahead of the store's by these ``seconds``."""
    return f"our clock is {seconds:+.0f} s off the store's"


class ClockSkew:
    """The difference of the latest response. ``seconds`` is positive if our clock is ahead, ``None`` at first."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._text = ""
        self._date: int | None = None

    @property
    def is_large(self) -> bool:
        """Whether the difference is so large that it is reported."""
        return is_reported(self.seconds or 0)

    def observe(self, date: str, sent_at: float, received_at: float) -> bool:
        """Update the difference by the ``date`` of a response; return whether ``is_large`` changed.

        The request was sent and the response received at these instants of our clock. The store makes the date at
        some instant between them, and cuts it to a whole second. A store may send the start of a response long before
        its end, and its clock is not behind then.
        """
        if date != self._text:  # the same for a second; parsing it is the largest cost
            self._text, self._date = date, http_date(date)
        if self._date is None:
            return False
        was_large = self.is_large
        self.seconds = max(0.0, sent_at - self._date - 1) + min(0.0, received_at - self._date)
        return self.is_large is not was_large
