"""The limiter that counts in Redis: its refusals, and what happens while Redis is away.

Here the library's storage in memory stands for Redis; ``tests/operations`` has a real one.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.aio.storage import MemoryStorage
from limits.aio.storage.base import Storage
from redis.asyncio import SSLConnection

from broker.core.quota import Quota
from broker.errors import RateLimitedError
from broker.metrics.upload_counters import UploadMetrics
from broker.service import memory_rate_limiter, redis_rate_limiter
from broker.service.memory_rate_limiter import MemoryRateLimiter
from broker.service.redis_rate_limiter import (
    RedisCounts,
    RedisRateLimiter,
    connect,
    reason_of,
    seconds_until,
    within,
)
from tests.patience import PATIENCE, becomes

QUOTA = Quota("principal", 10)


class FaultyStorage(MemoryStorage):
    """A storage that fails, or does not respond, while ``fault`` is set."""

    fault: BaseException | None = None
    hangs = False
    calls = 0

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fault:
            raise self.fault
        return await super().acquire_sliding_window_entry(key, limit, expiry, amount)


class Client:
    """A client without connections, of a server with this information."""

    def __init__(self, server: dict[str, str] | None = None) -> None:
        self._server = server

    async def info(self, section: str) -> dict[str, str]:
        assert section == "server"
        if self._server is None:
            raise PermissionError
        return self._server

    async def aclose(self) -> None:
        """Close nothing."""


def counts(storage: Storage, server: dict[str, str] | None = None) -> RedisCounts:
    """Return counts in a storage."""
    client: Any = Client(server)
    return RedisCounts(storage, client)


async def refusal(limiter: RedisRateLimiter, amount: int = 1, key: str = "u1") -> RateLimitedError:
    """Take an amount that is refused, and return the error."""
    with pytest.raises(RateLimitedError) as caught:
        await limiter.take(key, amount)
    return caught.value


@pytest.fixture
def storage() -> FaultyStorage:
    """Return the storage."""
    return FaultyStorage()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the lines of the log."""
    caplog.set_level("INFO", "broker.service")
    return lambda: [json.loads(record.message) for record in caplog.records if record.name == "broker.service"]


async def test_two_limiters_count_together(storage: FaultyStorage) -> None:
    """Limiters of one quota in the same Redis share it; another partition and another caller do not."""
    one, other = counts(storage).limiter(QUOTA), counts(storage).limiter(QUOTA)
    assert await one.take("u1", 6) is False
    await other.take("u1", 4)
    await refusal(one)
    await refusal(other)
    await one.take("u2", 10)
    await counts(storage).limiter(Quota("address", 10)).take("u1", 10)


async def test_refusal_is_observed(storage: FaultyStorage) -> None:
    """The observer receives each refusal, also one that is counted in this process."""
    metrics = UploadMetrics()
    shared = counts(storage)
    limiter = shared.limiter(QUOTA, metrics)
    await limiter.take("u1", 10)
    await refusal(limiter)
    assert metrics.limited_by == {"principal": 1, "address": 0}
    storage.fault = ConnectionError("away")
    await refusal(limiter)
    assert metrics.limited_by["principal"] == 2
    await shared.close()


async def test_refusal_states_the_quota(storage: FaultyStorage) -> None:
    """A refusal takes nothing, and has the seconds until a retry and the fields of the quota."""
    limiter = counts(storage).limiter(QUOTA)
    await limiter.take("u1", 7)
    error = await refusal(limiter, 4)
    assert error.partition == "principal"
    assert 1 <= (error.retry_after or 0) <= 120
    assert error.headers == {
        "Retry-After": str(error.retry_after),
        "RateLimit-Policy": '"principal";q=10;w=60',
        "RateLimit": f'"principal";r=3;t={error.retry_after}',
    }
    await limiter.take("u1", 3)


@pytest.mark.parametrize(
    ("level", "window", "seconds"),
    [
        (9, (0, 0.0, 10, 120.0), 61),  # the whole quota a moment ago: a unit is back when the window has passed
        (0, (0, 0.0, 10, 61.0), 56),
        (9, (10, 30.0, 6, 90.0), 7),  # 5 + 6: the previous window ends evenly
        (9, (10, 60.0, 0, 120.0), 1),
        (2, (10, 30.0, 2, 90.0), 25),
        (0, (10, 30.0, 1, 90.0), 31),
        (9, (0, 0.0, 0, 0.0), 1),
    ],
)
def test_wait_of_a_sliding_window(level: int, window: tuple[int, float, int, float], seconds: int) -> None:
    """The wait is the time in which the weighted count falls to a level."""
    assert seconds_until(level, window) == seconds


@given(
    level=st.integers(0, 20),
    before=st.integers(0, 20),
    current=st.integers(0, 20),
    elapsed=st.integers(0, 59),
)
def test_wait_is_the_shortest(level: int, before: int, current: int, elapsed: int) -> None:
    """After the wait the weighted count is at most the level, and a second earlier it was higher."""

    def count(after: int) -> int:
        seconds = elapsed + after
        counted, weighed = (current, before) if seconds < 60 else (0, current)
        return weighed * max(0, 60 - seconds % 60) // 60 + counted if seconds < 120 else 0

    window = (before, 60.0 - elapsed, current, 120.0 - elapsed)
    if count(0) > level:
        wait = seconds_until(level, window)
        assert count(wait) <= level
        assert wait == 1 or count(wait - 1) > level


@pytest.mark.parametrize("fault", [ConnectionError("refused"), ValueError("OOM"), OSError(), RuntimeError("a bug")])
async def test_failure_is_counted_in_memory(storage: FaultyStorage, fault: Exception) -> None:
    """If Redis fails, the request passes, and the process enforces the quota itself."""
    shared = counts(storage)
    limiter = shared.limiter(QUOTA)
    storage.fault = fault
    assert await limiter.take("u1", 6) is True
    assert limiter.fields("u1")["RateLimit"].startswith('"principal";r=4;')
    await limiter.take("u1", 4)
    await refusal(limiter)
    assert shared.errors >= 1
    await shared.close()


async def test_burst_is_no_outage(storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that get no turn in time are counted in memory, and Redis does not count as away."""
    monkeypatch.setattr(redis_rate_limiter, "PATIENCE", 0.05)
    shared = counts(storage)
    limiter = shared.limiter(QUOTA)
    for _ in range(redis_rate_limiter.CONNECTIONS_MAX):
        await shared.turns.acquire()
    assert await limiter.take("u1", 6) is True
    assert (shared.errors, shared.is_away, storage.calls) == (0, False, 0)


async def test_calls_at_once_are_bounded(storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of requests waits for turns, and all are counted in Redis."""
    monkeypatch.setattr(redis_rate_limiter, "PATIENCE", PATIENCE)
    shared = counts(storage)
    limiter = shared.limiter(Quota("principal", 1000))
    await asyncio.gather(*(limiter.take("u1", 1) for _ in range(200)))
    assert (shared.errors, storage.calls) == (0, 200)
    assert shared.turns._value == redis_rate_limiter.CONNECTIONS_MAX


async def test_outage_begins_with_what_was_spent(storage: FaultyStorage) -> None:
    """When Redis fails, a process goes on with what it has counted before, also beyond what a bucket has."""
    shared = counts(storage)
    limiter = shared.limiter(QUOTA)
    await limiter.take("u1", 6)
    storage.fault = ConnectionError("closed")
    await limiter.take("u1", 4)
    await refusal(limiter)
    await shared.close()
    own = MemoryRateLimiter(QUOTA)
    own.record("u1", 25)
    assert own.fields("u1")["RateLimit"] == '"principal";r=0;t=60'


def test_records_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted elsewhere takes bounded memory too."""
    monkeypatch.setattr(memory_rate_limiter, "_KEYS", 3)
    own = MemoryRateLimiter(QUOTA)
    for n in range(10):
        own.record(f"u{n}", 1)
    assert len(own._full_at) <= 3


async def test_late_loop_is_not_a_late_response() -> None:
    """A call whose response has arrived is not late, however late the event loop is."""

    async def respond() -> str:
        waiter = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, waiter.set_result, "counted")
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251  the loop is blocked
        return str(await waiter)

    assert await within(0.02, respond()) == "counted"


async def test_silence_costs_one_request_its_patience(storage: FaultyStorage) -> None:
    """A Redis that does not respond delays one request by the patience, and no request after it."""
    shared = counts(storage)
    limiter = shared.limiter(QUOTA)
    storage.hangs = True
    clock = asyncio.get_running_loop().time
    started = clock()
    await limiter.take("u1", 1)
    assert clock() - started >= redis_rate_limiter.PATIENCE - 0.001
    await asyncio.sleep(0)
    calls = storage.calls
    for _ in range(5):
        await limiter.take("u1", 1)
    assert storage.calls == calls
    await shared.close()


async def test_outage_has_two_lines(
    storage: FaultyStorage, lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage has one line when it begins and one when it ends, and afterwards Redis counts again."""
    monkeypatch.setattr(redis_rate_limiter, "PROBE_INTERVAL", 0.01)
    shared = counts(storage)
    limiter = shared.limiter(QUOTA)
    storage.fault = ConnectionError("Error 111 connecting to 127.0.0.1:6379")
    for _ in range(5):
        await limiter.take("u1", 1)
    await becomes(lambda: shared.errors > 5)
    storage.fault = None
    await becomes(lambda: not shared.is_away)
    assert lines() == [
        {"event": "broker.redis_lost", "reason": "ConnectionError: Error 111 connecting to 127.0.0.1:6379"},
        {"event": "broker.redis_restored"},
    ]
    await limiter.take("u1", 10)
    await shared.close()


async def test_single_late_response_is_not_an_outage(
    storage: FaultyStorage, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """If the first probe succeeds, nothing is logged, and only one call has failed."""
    shared = counts(storage)
    storage.fault = ConnectionError("closed")
    await shared.limiter(QUOTA).take("u1", 1)
    storage.fault = None
    await becomes(lambda: not shared.is_away)
    assert (lines(), shared.errors) == ([], 1)
    await shared.close()


async def test_slow_redis_is_away(
    storage: FaultyStorage, lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that responds to no probe in time stays away, and its line has the reason."""
    monkeypatch.setattr(redis_rate_limiter, "CONNECT_WITHIN", 0.005)
    shared = counts(storage)
    storage.hangs = True
    await shared.start()
    await becomes(lines)
    assert lines() == [{"event": "broker.redis_lost", "reason": "no response within 5 ms"}]
    assert shared.is_away
    await shared.close()


async def test_start_connects(storage: FaultyStorage) -> None:
    """At its start a process probes Redis once, and counts there afterwards."""
    shared = counts(storage)
    await shared.start()
    assert shared.is_away
    await becomes(lambda: not shared.is_away)
    assert shared.errors == 0
    await shared.close()


async def test_absent_server_is_counted_in_memory(tmp_path: Path) -> None:
    """The client of a server that is absent fails at once, and its connections are closed."""
    shared = connect(f"unix://:a-password@{tmp_path}/redis.sock")
    limiter = shared.limiter(QUOTA)
    await limiter.take("u1", 10)
    await refusal(limiter)
    await shared.close()


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({"redis_version": "7.0.15"}, "Redis 7.0.15"),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.1"}, "Valkey 8.1.1"),
        (None, "Redis of an unknown version"),
    ],
)
async def test_server_is_named(storage: FaultyStorage, server: dict[str, str] | None, expected: str) -> None:
    """The server is named with its version, unless the user may not read it."""
    assert await counts(storage, server).server() == expected


def test_tls_connections_share_a_context() -> None:
    """The certificates of the authorities are read once, at the start, and not with each connection."""
    pool = connect("rediss://127.0.0.1:1")._client.connection_pool
    one, other = (pool.connection_class(**pool.connection_kwargs) for _ in range(2))
    assert isinstance(one, SSLConnection)
    assert isinstance(other, SSLConnection)
    assert one.ssl_context.context is not None
    assert one.ssl_context is other.ssl_context
    assert one.ssl_context.context.verify_mode is ssl.CERT_REQUIRED
    assert one.ssl_context.context.check_hostname


def test_storage_must_count_windows() -> None:
    """A storage without sliding windows is refused."""
    storage: Any = object()
    with pytest.raises(TypeError):
        counts(storage)


def test_reason_is_one_short_line() -> None:
    """The reason of a failure is one line of at most 200 characters."""
    assert reason_of(ValueError("first\nsecond")) == "ValueError: first"
    assert len(reason_of(ValueError("x" * 1000))) == 200
