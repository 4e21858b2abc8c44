"""A call to the store that has ended, as ``transport`` reports it. Without an observer nothing is reported."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class CallOutcome(StrEnum):
    """What became of a call.

    ``REFUSED``: the store responded with another 4xx than 429, such as 404 for an object that does not exist.
    ``FAILED``: no response in time, or a status that is neither a success nor a 4xx.
    """

    OK = "ok"
    REFUSED = "refused"
    THROTTLED = "throttled"
    FAILED = "failed"


class EndedCall(NamedTuple):
    """One call, its retry included: ``operation`` is the name of S3, ``status`` 0 without a response.

    ``seconds`` are those from the free slot to the end of the response. ``is_paced``: they depend on a client, whose
    bytes the call sends as they arrive.
    """

    operation: str
    bucket: str
    status: int
    seconds: float
    is_paced: bool

    @property
    def outcome(self) -> CallOutcome:
        """The outcome, by the status."""
        if 200 <= self.status < 300:
            return CallOutcome.OK
        if self.status == 429:
            return CallOutcome.THROTTLED
        return CallOutcome.REFUSED if 400 <= self.status < 500 else CallOutcome.FAILED


ObserveCall = Callable[[EndedCall], object]
"""Receives each call when it has ended; it neither raises nor waits."""
