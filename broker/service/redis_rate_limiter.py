"""A rate limiter that counts in Redis or Valkey, for all processes together. This module needs the extra ``redis``.

Rules of this module
- A request never fails and never waits long because of Redis: after ``PATIENCE`` it is counted in this process.
- While Redis is away, only a background task calls it, so that dropped packets delay no further request.
- An outage has one line in the log when it begins, and one when it ends.
- No line has the URL, which contains the password.
"""

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, Storage
from limits.aio.storage.base import SlidingWindowCounterSupport
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from broker.core.quota import MINUTE, Quota
from broker.errors import RateLimitedError

from .memory_rate_limiter import MemoryRateLimiter
from .observer import Observer

log = logging.getLogger("broker.service")

PATIENCE: Final = 0.02
"""Seconds in which Redis must respond."""

CONNECT_WITHIN: Final = 1.0
"""Seconds in which a probe of Redis must connect."""

PROBE_INTERVAL: Final = 1.0
"""Seconds between two probes of Redis while it is away."""

CONNECTIONS_MAX: Final = 16
"""Maximum number of connections of one process to Redis, and of calls at the same time.

With more, the event loop itself would be late for the responses to a burst of requests.
"""

_PREFIX: Final = "broker"

Window: TypeAlias = tuple[int, float, int, float]
"""The count of the previous window and the seconds until it ends, and the same of the current one.

The current window is kept for a minute after its end, which these seconds include.
"""

T = TypeVar("T")


class RedisCounts:
    """The counts in Redis, and whether it is away.

    ``errors`` is the number of calls and probes that failed. ``client`` has the connections of ``storage``.
    """

    def __init__(self, storage: Storage, client: Redis) -> None:
        if not isinstance(storage, SlidingWindowCounterSupport):
            raise TypeError("the storage must support the strategy")
        self.strategy = SlidingWindowCounterRateLimiter(storage)
        self.storage = storage
        self.errors = 0
        self.turns = asyncio.Semaphore(CONNECTIONS_MAX)
        self._client = client
        self._watch: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Whether Redis has failed since it last responded in time."""
        return self._watch is not None

    def limiter(self, quota: Quota, observer: Observer | None = None) -> "RedisRateLimiter":
        """Return what counts for a quota."""
        return RedisRateLimiter(quota, self, observer)

    async def start(self) -> None:
        """Begin to connect, so that the first request need not. Until then, requests are counted in this process."""
        self._start_watch()

    def note_failure(self) -> None:
        """Count a call that failed or was late, and probe Redis until it responds."""
        self.errors += 1
        self._start_watch()

    async def server(self) -> str:
        """Return the name and the version of the server; the user may lack the right to read it."""
        try:
            info: Mapping[str, Any] = await within(CONNECT_WITHIN, self._client.info("server"))
        except Exception:  # noqa: BLE001  the server counts, which is what matters
            return "Redis of an unknown version"
        return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"

    async def close(self) -> None:
        """End the probes and the connections."""
        if self._watch:
            self._watch.cancel()
        await self._client.aclose()

    def _start_watch(self) -> None:
        self._watch = self._watch or asyncio.create_task(self._probe_until_back())

    async def _probe_until_back(self) -> None:
        """Probe Redis at once and then once a second. If the first probe succeeds, there was no outage."""
        is_logged = False
        while reason := await self.probe():
            if not is_logged:
                log.warning(json.dumps({"event": "broker.redis_lost", "reason": reason}))
                is_logged = True
            await asyncio.sleep(PROBE_INTERVAL)
        if is_logged:
            log.info(json.dumps({"event": "broker.redis_restored"}))
        self._watch = None

    async def probe(self) -> str:
        """Connect and count; return the reason if Redis fails, or responds late on an open connection."""
        for patience in (CONNECT_WITHIN, PATIENCE):
            try:
                await within(patience, self.strategy.hit(_PROBE, "probe"))
            except TimeoutError:
                self.errors += 1
                return f"no response within {patience * 1000:.0f} ms"
            except Exception as error:  # noqa: BLE001  a failure of any kind must not end the task
                self.errors += 1
                return reason_of(error)
        return ""


class RedisRateLimiter:
    """Counts in Redis, by the sliding windows of the library ``limits``, and in this process while Redis is away.

    A caller may spend its quota in any 60 seconds: unlike a bucket, a quota that was spent at once returns only when
    the window has passed.
    """

    def __init__(self, quota: Quota, shared: RedisCounts, observer: Observer | None) -> None:
        self.quota = quota
        self._shared = shared
        self._observer = observer
        self._own = MemoryRateLimiter(quota, observer=observer)
        self._item = RateLimitItemPerMinute(quota.per_minute, namespace=quota.partition)

    async def take(self, key: str, amount: int) -> bool:
        """Take ``amount`` from the quota; return true only if it was counted in this process and half is spent.

        Raises ``RateLimitedError``, and takes nothing, if less is left.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._shared.turns.acquire()
        except TimeoutError:  # of a burst of requests, which says nothing of Redis
            return await self._own.take(key, amount)
        try:
            if self._shared.is_away:
                return await self._own.take(key, amount)
            window = await within(PATIENCE, self._count(key, amount))
        except Exception:  # noqa: BLE001  whatever is wrong with Redis, the request passes
            self._shared.note_failure()
            return await self._own.take(key, amount)
        finally:
            self._shared.turns.release()
        if window:
            raise self._refusal(window, amount)
        self._own.record(key, amount)  # so that an outage begins with what was spent here
        return False

    def fields(self, key: str) -> Mapping[str, str]:
        """Return the header fields of a caller that was counted in this process."""
        return self._own.fields(key)

    async def _count(self, key: str, amount: int) -> Window | None:
        """Count in Redis; return the window if too little is left."""
        if await self._shared.strategy.hit(self._item, key, cost=amount):
            return None
        return await self._shared.storage.get_sliding_window(self._item.key_for(key), MINUTE)

    def _refusal(self, window: Window, amount: int) -> RateLimitedError:
        quota = self.quota
        if self._observer:
            self._observer.rate_limited(quota.partition)
        retry_after = seconds_until(quota.per_minute - amount, window)
        before, before_ends, current, _ = window
        remaining = max(0, quota.per_minute - current - int(before * before_ends / MINUTE))
        fields = quota.fields(remaining, retry_after)
        return RateLimitedError(retry_after, partition=quota.partition, fields=fields)


async def within(seconds: float, call: Awaitable[T]) -> T:
    """Return the result of a call; raise ``TimeoutError``, and cancel the call, if it takes longer.

    A response that has arrived when the time is over counts: the event loop may have been late, and not the server.
    ``asyncio.timeout`` would cancel the call.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait((task,), timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def seconds_until(level: int, window: Window) -> int:
    """Return the seconds, at least 1, until the weighted count of a sliding window is at most ``level``."""
    before, before_ends, current, current_ends = window
    to_next = current_ends - MINUTE
    if current <= level:
        wait = before_ends - MINUTE * (level - current + 1) / before if before else 0.0
        if wait < to_next:
            return max(1, math.floor(wait) + 1)
    wait = to_next + max(0.0, MINUTE - MINUTE * (level + 1) / current) if current else to_next
    return max(1, math.floor(wait) + 1)


def connect(url: str) -> RedisCounts:
    """Return the counts in the Redis at ``url``; nothing is sent yet."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS_MAX,
        timeout=None,  # PATIENCE bounds the wait, and all others
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=Retry(NoBackoff(), 0),
    )
    if issubclass(pool.connection_class, SSLConnection):
        pool.connection_class = _with_one_context(SSLConnection(**pool.connection_kwargs))
    storage = RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix=_PREFIX,
        connection_pool=pool,  # type: ignore[arg-type]  # documented, and not in the annotation
    )
    return RedisCounts(storage, Redis.from_pool(pool))


def _with_one_context(first: SSLConnection) -> type[SSLConnection]:
    """Return connections with the TLS context of ``first``: reading the authorities' certificates blocks for 25 ms."""

    class Connection(SSLConnection):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context = first.ssl_context

    first.ssl_context.get()
    return Connection


def reason_of(error: Exception) -> str:
    """Return the cause of a failure, in one line without the URL."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


_PROBE: Final = RateLimitItemPerMinute(10**9, namespace="probe")
