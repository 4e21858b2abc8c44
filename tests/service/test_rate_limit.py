"""P19: how much one user may ask for."""

import pytest

from broker.core.model import Principal
from broker.errors import RateLimitedError
from broker.service import rate_limit
from broker.service.rate_limit import RateLimit

USER = Principal("u1")


class Clock:
    """A clock that is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock."""
    return Clock()


def refused(limits: RateLimit, amount: int = 1, principal: Principal = USER) -> int:
    """The seconds after which to come again."""
    with pytest.raises(RateLimitedError) as caught:
        limits.spend(principal, amount)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def test_a_minutes_worth_may_be_spent_at_once_and_fills_up_evenly(clock: Clock) -> None:
    limits = RateLimit(60, clock=clock)
    for _ in range(60):
        limits.spend(USER)
    assert refused(limits) == 1
    clock.now += 1
    limits.spend(USER)
    assert refused(limits, 10) == 10
    clock.now += 10
    limits.spend(USER, 10)
    clock.now += 3600
    limits.spend(USER, 60)
    assert refused(limits) == 1


def test_a_refusal_costs_nothing(clock: Clock) -> None:
    limits = RateLimit(60, clock=clock)
    limits.spend(USER, 59)
    refused(limits, 2)
    limits.spend(USER)


def test_more_than_a_minutes_worth_takes_all_there_is(clock: Clock) -> None:
    limits = RateLimit(60, clock=clock)
    limits.spend(USER, 1000)
    assert refused(limits, 1000) == 60
    clock.now += 60
    limits.spend(USER, 1000)


def test_every_user_has_a_bucket_and_a_service_needs_none(clock: Clock) -> None:
    limits = RateLimit(1, clock=clock)
    limits.spend(USER)
    limits.spend(Principal("u2"))
    refused(limits)
    for _ in range(100):
        limits.spend(Principal("u1", is_service=True))


def test_0_is_no_limit() -> None:
    limits = RateLimit(0)
    for _ in range(10_000):
        limits.spend(USER, 1000)


@pytest.mark.parametrize(("seconds", "known"), [(61, 1), (0, 1)], ids=["full again", "none full"])
def test_what_is_remembered_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: int, known: int) -> None:
    monkeypatch.setattr(rate_limit, "_SUBJECTS", 3)
    limits = RateLimit(1, clock=clock)
    for name in "abc":
        limits.spend(Principal(name))
    clock.now += seconds
    limits.spend(USER)
    assert len(limits._full_at) == known


def test_those_who_spent_lately_are_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_SUBJECTS", 2)
    limits = RateLimit(1, clock=clock)
    limits.spend(Principal("a"))
    clock.now += 60
    limits.spend(Principal("b"))
    limits.spend(USER)
    refused(limits, principal=Principal("b"))
