"""The addresses of one host: looked up once for everybody who waits, and kept.

Rules of this module
- One look-up at a time. Each holds a thread of a small pool while the name server is slow; many would hold all of them.
- An answer is used for ``FRESH`` seconds. Then connections wait for a new one, but for ``LATE`` seconds at most, and
  those that have waited so long use the last answer. So do all when a look-up fails: a name server that is down does
  not take the store away.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from aiohappyeyeballs import AddrInfoType

FRESH: Final = 30.0
"""Seconds for which an answer is used without another look-up."""

LATE: Final = 0.25
"""Seconds after which the last answer is used while a look-up is under way."""


class Addresses:
    """The addresses at which ``port`` of ``host`` can be connected to."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._known: Sequence[AddrInfoType] = ()
        self._fresh_until = float("-inf")  # by the loop's clock
        self._lookup: asyncio.Task[None] | None = None

    async def get(self) -> Sequence[AddrInfoType]:
        """The addresses; raises ``OSError`` when a look-up fails and there is no earlier answer."""
        if asyncio.get_running_loop().time() >= self._fresh_until:
            await self._refresh()
        return self._known

    async def _refresh(self) -> None:
        if self._lookup is None:
            self._lookup = asyncio.create_task(self._look_up())
            self._lookup.add_done_callback(self._looked_up)
        if self._known:
            await asyncio.wait((self._lookup,), timeout=LATE)
        else:
            await asyncio.shield(self._lookup)  # one caller that gives up does not end it for the others

    async def _look_up(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._known = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label of the name is too long, or empty
            raise socket.gaierror from None

    def _looked_up(self, lookup: "asyncio.Task[None]") -> None:
        self._lookup = None
        failed = lookup.cancelled() or lookup.exception() is not None
        if self._known or not failed:
            self._fresh_until = lookup.get_loop().time() + FRESH
