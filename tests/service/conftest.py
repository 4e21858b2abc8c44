"""Deletions over the store in memory, whose copies take no time, do not wait for them."""

import pytest

from broker.service import deletion, exclusive, promotion


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """No deletion waits for copies that may be under way, no promotion for the next second, nobody long for a turn."""
    monkeypatch.setattr(deletion, "COPY_GRACE", 0)
    monkeypatch.setattr(promotion, "NEXT_SECOND", 0)
    monkeypatch.setattr(exclusive, "LOCK_TIMEOUT", 0.05)
