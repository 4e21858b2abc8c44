"""Rules that are counted."""

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .backend import EVERYBODY

PICKS = st.integers(0, 40)
"""Which of what was handed out; 0 is the newest."""

PEOPLE = st.sampled_from(EVERYBODY)


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
