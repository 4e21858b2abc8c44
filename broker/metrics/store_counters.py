"""The counts and durations of calls to the store."""

from broker.store.ended_call import CallOutcome, EndedCall

from .histogram import Histogram


class CallSeries:
    """The calls of one operation: their number by outcome, and their durations."""

    __slots__ = ("by_outcome", "durations")

    def __init__(self) -> None:
        self.by_outcome = dict.fromkeys(CallOutcome, 0)
        self.durations = Histogram()


class StoreCallMetrics:
    """The calls of one process, by operation. The code names the operations: they are few."""

    def __init__(self) -> None:
        self.by_operation: dict[str, CallSeries] = {}

    def count(self, call: EndedCall) -> None:
        """Count a call, and its duration unless that depends on a client."""
        series = self.by_operation.get(call.operation)
        if series is None:
            series = self.by_operation[call.operation] = CallSeries()
        series.by_outcome[call.outcome] += 1
        if not call.is_paced:
            series.durations.add(call.seconds)
