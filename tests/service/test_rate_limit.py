"""P19: the rate limit of one user."""

import pytest

from broker.core.model import Principal
from broker.errors import RateLimitedError
from broker.service import rate_limit
from broker.service.rate_limit import RateLimit

USER = Principal("u1")


class Clock:
    """A clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return the clock."""
    return Clock()


def refused(limits: RateLimit, amount: int = 1, principal: Principal = USER) -> int:
    """Spend an amount that is refused; return the seconds until a retry."""
    with pytest.raises(RateLimitedError) as caught:
        limits.spend(principal, amount)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def test_bucket_holds_a_minute_and_fills_evenly(clock: Clock) -> None:
    """A user can spend the amount of a minute at once, and the bucket fills evenly."""
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


def test_refusal_costs_nothing(clock: Clock) -> None:
    """A refused request takes nothing from the bucket."""
    limits = RateLimit(60, clock=clock)
    limits.spend(USER, 59)
    refused(limits, 2)
    limits.spend(USER)


def test_larger_amount_takes_a_full_bucket(clock: Clock) -> None:
    """A request that costs more than a full bucket takes a full bucket."""
    limits = RateLimit(60, clock=clock)
    limits.spend(USER, 1000)
    assert refused(limits, 1000) == 60
    clock.now += 60
    limits.spend(USER, 1000)


def test_users_have_buckets_and_services_have_none(clock: Clock) -> None:
    """Each user has a bucket of its own, and a service has no limit."""
    limits = RateLimit(1, clock=clock)
    limits.spend(USER)
    limits.spend(Principal("u2"))
    refused(limits)
    for _ in range(100):
        limits.spend(Principal("u1", is_service=True))


def test_zero_means_no_limit() -> None:
    """A rate limit of 0 refuses no request."""
    limits = RateLimit(0)
    for _ in range(10_000):
        limits.spend(USER, 1000)


@pytest.mark.parametrize(("seconds", "known"), [(61, 1), (0, 1)], ids=["full again", "none full"])
def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: int, known: int) -> None:
    """When memory is full, full buckets are removed, and all buckets if no bucket is full."""
    monkeypatch.setattr(rate_limit, "_SUBJECTS", 3)
    limits = RateLimit(1, clock=clock)
    for name in "abc":
        limits.spend(Principal(name))
    clock.now += seconds
    limits.spend(USER)
    assert len(limits._full_at) == known


def test_recent_spending_is_kept(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The removal of full buckets keeps the buckets of users who spent recently."""
    monkeypatch.setattr(rate_limit, "_SUBJECTS", 2)
    limits = RateLimit(1, clock=clock)
    limits.spend(Principal("a"))
    clock.now += 60
    limits.spend(Principal("b"))
    limits.spend(USER)
    refused(limits, principal=Principal("b"))
