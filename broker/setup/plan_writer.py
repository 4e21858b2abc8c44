"""Application of a plan: each change is written, read back and compared. If one fails, all are undone."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from broker.store.admin import BucketRulesError, Rule

from .change_plan import Change, Kind, are_equal

READS_MAX: Final = 5
"""How often a change is read back before it counts as not made."""

PAUSE: Final = 1.0
"""Seconds between two reads: a bucket's configuration may need a moment."""


class BucketRules(Protocol):
    """The rules of buckets at a store. Both methods raise ``BucketRulesError``."""

    def read(self, bucket: str, kind: Kind) -> Sequence[Rule]:
        """Return the rules of one kind."""
        ...

    def write(self, bucket: str, kind: Kind, rules: Sequence[Rule]) -> None:
        """Replace the rules of one kind."""
        ...


class NotRestoredError(Exception):
    """A change failed, and the rules that a bucket had before could not be written again. The text names them."""


def apply(
    changes: Sequence[Change],
    rules: BucketRules,
    *,
    before_restore: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Make all changes, or none.

    Raises ``BucketRulesError`` after a failure, if the buckets are as they were; otherwise ``NotRestoredError``. An
    interruption (``KeyboardInterrupt``) is undone too. ``before_restore`` is called before anything is undone.
    """
    made: list[Change] = []
    try:
        for change in changes:
            made.append(change)  # first: a write without a response may have had its effect
            rules.write(change.bucket, change.kind, change.after)
            _verify(change, rules, sleep)
    except BaseException as error:
        before_restore()
        _restore(made, rules, error)
        raise


def _verify(change: Change, rules: BucketRules, sleep: Callable[[float], None]) -> None:
    for reads in range(READS_MAX):
        if reads:
            sleep(PAUSE)
        if are_equal(rules.read(change.bucket, change.kind), change.after):
            return
    raise BucketRulesError(f"{change.bucket} does not return the {change.kind} rules that were written")


def _restore(made: Sequence[Change], rules: BucketRules, cause: BaseException) -> None:
    failed = []
    for change in reversed(made):
        try:
            rules.write(change.bucket, change.kind, change.before)
        except BucketRulesError as error:
            failed.append(f"the {change.kind} rules of {change.bucket} ({error})")
    if failed:
        raise NotRestoredError(f"{str(cause) or 'interrupted'}. Not restored: {', '.join(failed)}") from None
