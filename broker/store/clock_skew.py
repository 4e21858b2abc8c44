"""How far our clock is from the store's, by the Date of its answers (RFC 9110, section 6.6.1)."""

from .s3_responses import SKEW_HINT, http_date


class ClockSkew:
    """The difference as the last answer had it. ``seconds`` is positive when our clock is ahead, ``None`` at first."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._text = ""
        self._date: int | None = None

    @property
    def is_large(self) -> bool:
        """Whether an operator should be told."""
        return abs(self.seconds or 0) >= SKEW_HINT

    def observe(self, date: str, sent_at: float, received_at: float) -> bool:
        """Take the ``date`` of an answer to a call between two instants of our clock; whether ``is_large`` changed.

        The store makes the date at some instant between the two, and cuts it to a whole second. A store that sends the
        head of an answer long before its end must not look slow.
        """
        if date != self._text:  # it stays the same for a second, and to parse it is dearer than all the rest
            self._text, self._date = date, http_date(date)
        if self._date is None:
            return False
        was_large = self.is_large
        self.seconds = max(0.0, sent_at - self._date - 1) + min(0.0, received_at - self._date)
        return self.is_large is not was_large
