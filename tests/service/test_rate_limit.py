"""P19: the rate limit of one user."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.model import Principal
from broker.core.quota import Quota
from broker.errors import RateLimitedError
from broker.service import memory_rate_limiter
from broker.service.memory_rate_limiter import MemoryRateLimiter
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


def limit(per_minute: int, clock: Clock) -> RateLimit:
    """Return a rate limit that counts in memory."""
    return RateLimit(MemoryRateLimiter(Quota("principal", per_minute), clock=clock))


async def refused(limits: RateLimit, amount: int = 1, principal: Principal = USER) -> int:
    """Spend an amount that is refused; return the seconds until a retry."""
    with pytest.raises(RateLimitedError) as caught:
        await limits.spend(principal, amount)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


async def test_bucket_holds_a_minute_and_fills_evenly(clock: Clock) -> None:
    """A user can spend the amount of a minute at once, and the bucket fills evenly."""
    limits = limit(60, clock)
    for _ in range(60):
        await limits.spend(USER)
    assert await refused(limits) == 1
    clock.now += 1
    await limits.spend(USER)
    assert await refused(limits, 10) == 10
    clock.now += 10
    await limits.spend(USER, 10)
    clock.now += 3600
    await limits.spend(USER, 60)
    assert await refused(limits) == 1


async def test_refusal_costs_nothing(clock: Clock) -> None:
    """A refused request takes nothing from the bucket."""
    limits = limit(60, clock)
    await limits.spend(USER, 59)
    await refused(limits, 2)
    await limits.spend(USER)


async def test_larger_amount_takes_a_full_bucket(clock: Clock) -> None:
    """A request that costs more than a full bucket takes a full bucket."""
    limits = limit(60, clock)
    await limits.spend(USER, 1000)
    assert await refused(limits, 1000) == 60
    clock.now += 60
    await limits.spend(USER, 1000)


async def test_second_amount_takes_the_rest(clock: Clock) -> None:
    """What a request costs in addition is at most the rest of a full bucket, and may be nothing."""
    limits = limit(60, clock)
    await limits.spend(USER)
    await limits.spend_more(USER, 1000)
    assert await refused(limits) == 1
    smallest = limit(1, clock)
    await smallest.spend(USER)
    await smallest.spend_more(USER, 7)


async def test_users_have_buckets_and_services_have_none(clock: Clock) -> None:
    """Each user has a bucket of its own, and a service has no limit."""
    limits = limit(1, clock)
    await limits.spend(USER)
    await limits.spend(Principal("u2"))
    await refused(limits)
    for _ in range(100):
        await limits.spend(Principal("u1", is_service=True))
        await limits.spend_more(Principal("u1", is_service=True), 9)


async def test_zero_means_no_limit() -> None:
    """A rate limit of 0 refuses no request, and states no quota."""
    limits = RateLimit(None)
    for _ in range(10_000):
        assert not await limits.spend(USER, 1000)
        assert not await limits.spend_more(USER, 1000)
    assert limits.fields(USER) == {}


async def test_fields_state_the_quota(clock: Clock) -> None:
    """From the second half of the quota on, fields state what is left, and a refusal states it always."""
    limits = limit(60, clock)
    assert not await limits.spend(USER, 30)
    assert await limits.spend(USER, 15)
    assert limits.fields(USER) == {
        "RateLimit-Policy": '"principal";q=60;w=60',
        "RateLimit": '"principal";r=15;t=45',
    }
    with pytest.raises(RateLimitedError) as caught:
        await limits.spend(USER, 20)
    assert caught.value.headers == {
        "Retry-After": "5",
        "RateLimit-Policy": '"principal";q=60;w=60',
        "RateLimit": '"principal";r=15;t=5',
    }


def test_memory_never_suspends(clock: Clock) -> None:
    """A limiter in memory is done without an event loop: the coroutine ends at its first step."""
    spending = limit(60, clock).spend(USER).__await__()
    with pytest.raises(StopIteration):
        next(spending)


@pytest.mark.parametrize(("seconds", "known"), [(61, 1), (0, 1)], ids=["full again", "none full"])
async def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: int, known: int) -> None:
    """When memory is full, full buckets are removed, and all buckets if no bucket is full."""
    monkeypatch.setattr(memory_rate_limiter, "_KEYS", 3)
    limiter = MemoryRateLimiter(Quota("principal", 1), clock=clock)
    for name in "abc":
        await limiter.take(name, 1)
    clock.now += seconds
    await limiter.take("u1", 1)
    assert len(limiter._full_at) == known


async def test_recent_spending_is_kept(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The removal of full buckets keeps the buckets of users who spent recently."""
    monkeypatch.setattr(memory_rate_limiter, "_KEYS", 2)
    limits = limit(1, clock)
    await limits.spend(Principal("a"))
    clock.now += 60
    await limits.spend(Principal("b"))
    await limits.spend(USER)
    await refused(limits, principal=Principal("b"))


class Bucket:
    """The reference: a bucket with its content as an exact number."""

    def __init__(self, per_minute: int) -> None:
        self.size = per_minute
        self.content = Fraction(per_minute)

    def wait(self, seconds: Fraction) -> None:
        """Fill the bucket evenly."""
        self.content = min(Fraction(self.size), self.content + seconds * self.size / 60)

    def take(self, amount: int) -> int:
        """Take an amount, and return 0, or the seconds until there is enough."""
        missing = amount - self.content
        if missing > 0:
            return -((-missing * 60 / self.size) // 1)
        self.content -= amount
        return 0


@given(
    per_minute=st.sampled_from([1, 2, 30, 60, 120, 960, 3840]),
    steps=st.lists(st.tuples(st.integers(0, 64 * 16), st.integers(0, 4000)), max_size=60),
)
async def test_memory_is_the_model(per_minute: int, steps: list[tuple[int, int]]) -> None:
    """The limiter takes and refuses exactly as a bucket of exact numbers does, with the same wait."""
    clock, bucket = Clock(), Bucket(per_minute)
    limiter = MemoryRateLimiter(Quota("principal", per_minute), clock=clock)
    for sixteenths, wanted in steps:
        clock.now += sixteenths / 16
        bucket.wait(Fraction(sixteenths, 16))
        amount = min(wanted, per_minute)
        expected, found = bucket.take(amount), 0
        try:
            await limiter.take("u1", amount)
        except RateLimitedError as error:
            found = error.retry_after or 0
        assert found == expected
        assert limiter._remaining("u1") == bucket.content // 1
