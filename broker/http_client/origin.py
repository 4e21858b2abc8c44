"""A client of one origin (RFC 9110, section 4.3.1): the connections to it, kept for the next request.

Rules of this module
- It speaks to its origin alone: no redirect is followed, no cookie kept, no proxy or netrc read.
- A request is sent once, on one connection. To send it again is for whoever knows that it may be.
- It sets no limit of connections and none of time but for making one: callers are few, and have deadlines.
- The connection that was used last is used first; what nobody used for ``KEPT`` seconds is closed.
- That a kept connection was lost is not a failure of the other side, which may close one at any time (RFC 9112,
  section 9.3.1): it has a class of its own, and a request that may be sent twice goes on a fresh connection.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Final

from aiohappyeyeballs import start_connection

from .addresses import Addresses
from .connection import Connection
from .http_errors import ConnectionTimeoutError, KeptConnectionLostError, ServerDisconnectedError
from .message import NO_FIELDS, Reading, Request, Response

KEPT: Final = 300.0
"""Seconds for which a connection that nobody uses is kept.

Cloudflare keeps one for 400 s (developers.cloudflare.com/fundamentals/reference/connection-limits). AWS's address
translation forgets one after 350 s (docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html).
"""

_NEXT_ADDRESS_AFTER: Final = 0.25  # seconds; RFC 8305, section 5
_URL: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+]|[0-9A-Za-z._-]+)(?::([0-9]{1,5}))?(/[!-~]*)?")
_PORTS: Final = {"http": 80, "https": 443}
_TCP_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # seconds, seconds, probes


@cache
def trusted() -> ssl.SSLContext:
    """The system's authorities; certificates and names are checked. Made late, and beside the loop: it takes long."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # some platforms' OpenSSL allows less (RFC 8996)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Origin:
    """The origin of ``url``, whose path is ``path``. ``fields`` go with every request, beside the ``Host``.

    ``connect_timeout`` is the seconds one connection may take to be made.
    """

    def __init__(self, url: str, *, connect_timeout: float, fields: Mapping[str, str] = NO_FIELDS) -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError("must be an http or https URL")
        scheme, host, port, path = match.groups()
        self.path = path or "/"
        self._is_tls = scheme == "https"
        self._host = host.strip("[]")
        self._port = int(port or _PORTS[scheme])
        self._addresses = Addresses(self._host, self._port)
        authority = (f"{host}:{port}" if port else host).lower().removesuffix(f":{_PORTS[scheme]}")
        self._lines = [f"Host: {authority}", *(f"{name}: {value}" for name, value in fields.items())]
        self._connect_timeout = connect_timeout
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._reaper: asyncio.TimerHandle | None = None

    async def ask(self, request: Request, *, is_fresh: bool = False) -> Response:
        """The response; raises ``HttpError`` or ``OSError`` when there is none.

        ``is_fresh``: on a new connection, in place of a kept one. Otherwise raises ``KeptConnectionLostError`` when the
        connection was kept and has ended.
        """
        encoded = request.encoded(self._lines)
        reading = Reading(request.method, request.limit)
        kept = self._kept()
        if kept and is_fresh:
            kept.abort()  # so that many retries do not leave many connections
        elif kept:
            try:
                return await self._answer(kept, encoded, reading)
            except (ServerDisconnectedError, ConnectionError):
                raise KeptConnectionLostError from None
            except asyncio.CancelledError:
                self._let_go()
                raise
        return await self._answer(await self._connected(), encoded, reading)

    async def close(self) -> None:
        """End all connections; the next request makes a new one."""
        if self._reaper:
            self._reaper.cancel()
            self._reaper = None
        self._idle.clear()
        connections = [*self._open]
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in connections))

    async def _answer(self, connection: Connection, encoded: bytes, reading: Reading) -> Response:
        response = await connection.ask(encoded, reading)
        if connection.is_open:
            self._keep(connection)
        return response

    def _let_go(self) -> None:
        """Close what is idle: where one connection had no answer in time, all may lead to a network that is gone."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _kept(self) -> Connection | None:
        fresh = asyncio.get_running_loop().time() - KEPT
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > fresh:
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(KEPT, self._reap)

    def _reap(self) -> None:
        """Close what was idle for too long, and come again for the others."""
        loop = asyncio.get_running_loop()
        fresh = loop.time() - KEPT
        idle, self._idle = self._idle, []
        for connection in idle:
            if connection.is_open and connection.idle_since > fresh:
                self._idle.append(connection)
            else:
                connection.abort()
        self._reaper = loop.call_at(self._idle[0].idle_since + KEPT, self._reap) if self._idle else None

    async def _connected(self) -> Connection:
        """A new connection, to whichever of the host's addresses answers first (RFC 8305).

        The time to find those addresses is not the other side's: the limit begins after it.
        """
        loop = asyncio.get_running_loop()
        addresses = await self._addresses.get()
        context = await asyncio.to_thread(trusted) if self._is_tls else None
        try:
            async with asyncio.timeout(self._connect_timeout):
                connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, interleave=1)
                _keep_alive(connected)
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._open.discard),
                    sock=connected,
                    ssl=context,
                    server_hostname=self._host if self._is_tls else None,
                )
        except TimeoutError:
            raise ConnectionTimeoutError from None
        self._open.add(connection)
        return connection


def _keep_alive(connection: socket.socket) -> None:
    """Let the system find out within a minute that an idle connection is dead (RFC 9293, section 3.8.4)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in _TCP_KEEP_ALIVE.keys() & vars(socket):  # some systems lack some
        connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), _TCP_KEEP_ALIVE[name])
