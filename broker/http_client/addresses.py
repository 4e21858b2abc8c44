"""The cached addresses of one host.

Rules of this module
- One lookup runs at a time, for all callers. A lookup blocks a thread of a small pool while the name server is slow;
  many lookups would block all threads.
- Addresses are valid for ``ADDRESS_LIFETIME`` seconds. Then callers wait for a new lookup, at most ``LOOKUP_WAIT``
  seconds, and use the old addresses if it is late or fails. So the store stays reachable without a name server.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from aiohappyeyeballs import AddrInfoType

ADDRESS_LIFETIME: Final = 30.0
"""Seconds for which addresses are used without another lookup."""

LOOKUP_WAIT: Final = 0.25
"""Seconds after which a caller uses the old addresses while a lookup runs."""


class Addresses:
    """The socket addresses of ``port`` of ``host``."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._cached: Sequence[AddrInfoType] = ()
        self._fresh_until = float("-inf")  # by the loop's clock
        self._lookup: asyncio.Task[None] | None = None

    async def get(self) -> Sequence[AddrInfoType]:
        """Return the addresses; raise ``OSError`` if a lookup fails and no earlier one succeeded."""
        if asyncio.get_running_loop().time() >= self._fresh_until:
            await self._refresh()
        return self._cached

    async def _refresh(self) -> None:
        if self._lookup is None:
            self._lookup = asyncio.create_task(self._resolve())
            self._lookup.add_done_callback(self._on_resolved)
        if self._cached:
            await asyncio.wait((self._lookup,), timeout=LOOKUP_WAIT)
        else:
            await asyncio.shield(self._lookup)  # a cancelled caller must not cancel it for the others

    async def _resolve(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._cached = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except UnicodeError:  # the idna codec: a label is empty or longer than 63 characters
            raise socket.gaierror from None

    def _on_resolved(self, lookup: "asyncio.Task[None]") -> None:
        self._lookup = None
        failed = lookup.cancelled() or lookup.exception() is not None
        if self._cached or not failed:
            self._fresh_until = lookup.get_loop().time() + ADDRESS_LIFETIME
