"""Rules of the state machine that are counted."""

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .backend import CALLERS

PICKS = st.integers(0, 40)
"""The index of a recorded upload or upload id; 0 is the newest."""

CALLER = st.sampled_from(CALLERS)
"""Any caller."""


class Counted(Protocol):
    """A state machine that counts its steps."""

    tally: ClassVar[Counter[str]]


def step(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator for a rule that is counted."""

    def as_rule(function: Callable[..., None]) -> Any:
        @wraps(function)
        def counted(self: Counted, **given: Any) -> None:
            self.tally[function.__name__] += 1
            function(self, **given)

        as_step: Callable[[Callable[..., None]], Any] = rule(**drawn)
        return as_step(counted)

    return as_rule
