"""The rules of buckets in memory, with faults."""

from collections.abc import Sequence

from broker.setup.change_plan import Kind
from broker.store.admin import BucketRulesError, Rule


class MemoryRules:
    """``BucketRules`` in memory. ``failing`` are the numbers of the writes that fail, from 1; the others are made.

    ``forgets`` is whether the store drops what is written; ``interrupt_at`` is the number of the write at which the
    operator presses Ctrl-C.
    """

    def __init__(self, **rules: Sequence[Rule]) -> None:
        self.rules: dict[tuple[str, Kind], Sequence[Rule]] = {}
        for name, given in rules.items():
            bucket, _, kind = name.partition("_")
            self.rules[bucket, Kind[kind.upper()]] = given
        self.writes = 0
        self.failing: set[int] = set()
        self.forgets = False
        self.interrupt_at = 0
        self.stale_reads = 0

    def read(self, bucket: str, kind: Kind) -> Sequence[Rule]:
        if self.writes and self.stale_reads:
            self.stale_reads -= 1
            return []
        return self.rules.get((bucket, kind), [])

    def write(self, bucket: str, kind: Kind, rules: Sequence[Rule]) -> None:
        self.writes += 1
        if self.writes == self.interrupt_at:
            raise KeyboardInterrupt
        if self.writes in self.failing:
            raise BucketRulesError(f"write {self.writes} fails")
        if not self.forgets:
            self.rules[bucket, kind] = rules
