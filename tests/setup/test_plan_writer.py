"""The application of a plan: all changes or none."""

import pytest

from broker.setup.change_plan import Change, Kind
from broker.setup.plan_writer import READS_MAX, NotRestoredError, apply
from broker.store.admin import BucketRulesError, Rule
from tests.setup.rules_in_memory import MemoryRules

OLD: Rule = {"ID": "old"}
NEW: Rule = {"ID": "new"}
CHANGES = [Change("b", Kind.CORS, [OLD], [NEW], 0), Change("b", Kind.LIFECYCLE, [], [NEW], 0)]


def rules() -> MemoryRules:
    """Return a bucket before the changes."""
    return MemoryRules(b_cors=[OLD], b_lifecycle=[])


def run(stored: MemoryRules) -> list[float]:
    """Apply the changes, and return the pauses."""
    pauses: list[float] = []
    apply(CHANGES, stored, before_restore=lambda: pauses.append(-1), sleep=pauses.append)
    return pauses


def test_all_changes_are_made() -> None:
    """Each change is written once and read back."""
    stored = rules()
    assert run(stored) == []
    assert stored.rules == {("b", Kind.CORS): [NEW], ("b", Kind.LIFECYCLE): [NEW]}
    assert stored.writes == len(CHANGES)


def test_late_read_is_repeated() -> None:
    """A store that returns the old rules for a moment is read again."""
    stored = rules()
    stored.stale_reads = 2
    assert run(stored) == [1.0, 1.0]


@pytest.mark.parametrize("failing", [1, 2])
def test_failure_undoes_everything(failing: int) -> None:
    """If a write fails, the rules are as they were, those of the failed write included."""
    stored = rules()
    stored.failing = {failing}
    with pytest.raises(BucketRulesError, match=f"write {failing} fails"):
        run(stored)
    assert stored.rules == rules().rules


def test_forgotten_write_is_a_failure() -> None:
    """A store that accepts rules and does not keep them is a failure."""
    stored = rules()
    stored.forgets = True
    with pytest.raises(BucketRulesError, match="does not return the CORS rules"):
        run(stored)
    assert READS_MAX > 1


@pytest.mark.parametrize("at", [1, 2])
def test_interruption_undoes_everything(at: int) -> None:
    """Ctrl-C between two writes leaves the rules as they were."""
    stored = rules()
    stored.interrupt_at = at
    with pytest.raises(KeyboardInterrupt):
        run(stored)
    assert stored.rules == rules().rules


def test_failed_restoration_is_named() -> None:
    """If the old rules cannot be written again, the error names them and the first cause."""
    stored = rules()
    stored.failing = {2, 4}
    with pytest.raises(NotRestoredError, match=r"write 2 fails\. Not restored: the CORS rules of b \(write 4 fails\)"):
        run(stored)


def test_interruption_that_cannot_be_undone() -> None:
    """An interruption whose changes cannot be undone is named too."""
    stored = rules()
    stored.interrupt_at, stored.failing = 2, {3, 4}
    with pytest.raises(NotRestoredError, match=r"interrupted\. Not restored: the lifecycle rules of b"):
        run(stored)
