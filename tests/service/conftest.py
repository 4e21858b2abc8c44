"""Removes the pauses of the use cases: copies of the store in memory take no time."""

import pytest

from broker.service import deletion, exclusive, promotion


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the pauses of deletions and promotions to zero, and the timeout of locks to a moment."""
    monkeypatch.setattr(deletion, "COPY_GRACE", 0)
    monkeypatch.setattr(promotion, "NEXT_SECOND", 0)
    monkeypatch.setattr(exclusive, "LOCK_TIMEOUT", 0.05)
