"""The budget for fetches that requests cause."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from broker.auth.fetch_budget import BURST, COOLDOWN, FetchBudget

pauses = st.lists(st.sampled_from([0.0, 0.5, 1.0, COOLDOWN - 0.5, COOLDOWN, 7 * COOLDOWN]), max_size=80)


@given(pauses, st.integers(1, 5))
def test_k01_any_requests(waits: list[float], requests: int) -> None:
    """Within any time span no more fetches start than the burst and one for each cooldown, the first aside."""
    now = 1000.0
    budget = FetchBudget(lambda: now)
    assert budget.take()
    started: list[float] = []
    for wait in waits:
        now += wait
        started += [now for _ in range(requests) if budget.take()]
    for first, last in itertools.combinations(range(len(started)), 2):
        assert last - first + 1 <= BURST + (started[last] - started[first]) / COOLDOWN


@given(pauses)
def test_wait_is_exact(waits: list[float]) -> None:
    """A fetch is allowed exactly when the wait is over."""
    now = 0.0
    budget = FetchBudget(lambda: now)
    for wait in waits:
        now += wait
        is_over = budget.wait() <= 0
        assert budget.take() is is_over
    while budget.take():
        pass
    left = budget.wait()
    assert 0 < left <= COOLDOWN
    now += left - 0.25
    assert not budget.take()
    now += 0.25
    assert budget.take()


def test_numbers() -> None:
    """Three fetches may start at once, and one more in 30 seconds."""
    assert (BURST, COOLDOWN) == (3, 30)
