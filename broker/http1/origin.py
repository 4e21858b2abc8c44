"""A client of one origin (RFC 9110, section 4.3.1): the connections to it, kept for the next request.

Rules of this module
- It speaks to its origin alone: no redirect is followed, no cookie kept, no proxy or netrc read.
- A request is sent once, on one connection. To send it again is for whoever knows that it may be.
- It sets no limit of connections and none of time but for making one: callers are few, and have deadlines.
- The connection that was used last is used first; what nobody used for ``KEPT`` seconds is closed.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Final

from aiohappyeyeballs import start_connection

from .connection import Connection
from .errors import ConnectionTimeoutError
from .message import NO_FIELDS, Reading, Request, Response

KEPT: Final = 15.0
"""Seconds for which a connection that nobody uses is kept."""

_NEXT_ADDRESS_AFTER: Final = 0.25  # seconds; RFC 8305, section 5
_URL: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+]|[0-9A-Za-z._-]+)(?::([0-9]{1,5}))?(/[!-~]*)?")
_PORTS: Final = {"http": 80, "https": 443}


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
        authority = (f"{host}:{port}" if port else host).lower().removesuffix(f":{_PORTS[scheme]}")
        self._lines = [f"Host: {authority}", *(f"{name}: {value}" for name, value in fields.items())]
        self._connect_timeout = connect_timeout
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._reaper: asyncio.TimerHandle | None = None

    async def ask(self, request: Request) -> Response:
        """The response; raises ``HttpError`` or ``OSError`` when there is none."""
        encoded = request.encoded(self._lines)
        connection = self._kept() or await self._connected()
        response = await connection.ask(encoded, Reading(request.method, request.limit))
        if connection.is_open:
            self._keep(connection)
        return response

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
        """A new connection, to whichever of the host's addresses answers first (RFC 8305)."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                context = await asyncio.to_thread(trusted) if self._is_tls else None
                addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, interleave=1)
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._open.discard),
                    sock=connected,
                    ssl=context,
                    server_hostname=self._host if self._is_tls else None,
                )
        except TimeoutError:
            raise ConnectionTimeoutError from None
        except UnicodeError:  # a label of a name that is too long, or empty
            raise socket.gaierror from None
        self._open.add(connection)
        return connection
