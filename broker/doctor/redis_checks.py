"""The check of the Redis in which all processes count."""

from broker.service.rate_limit import SharedCounts

from .findings import Finding, Hint, passed, warned


async def check_redis(shared: SharedCounts) -> list[Finding]:
    """Return whether Redis counts in time, and its version. The broker works without it, so that this never fails."""
    reason = await shared.probe()
    if reason:
        text = f"Redis is away: limits count per process ({reason})"
        return [warned("redis-away", text, "Start it, or correct BROKER_REDIS_URL.", Hint.REDIS)]
    return [passed("redis", f"{await shared.server()} counts for all processes")]
