"""The state of the connection to a store, and its end."""

from .transport import Transport


class S3State:
    """The part of ``S3ObjectStore`` that reports the state of its transport."""

    _transport: Transport

    @property
    def clock_skew(self) -> float | None:
        """Seconds that our clock is ahead of the store's."""
        return self._transport.skew.seconds

    @property
    def is_circuit_open(self) -> bool:
        """Whether the circuit breaker stops calls."""
        return self._transport.breaker.is_open

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()
