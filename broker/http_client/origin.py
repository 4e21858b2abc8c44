"""An HTTP client of one origin (RFC 9110 section 4.3.1), with persistent connections.

Rules of this module
- It sends requests to its origin only. It follows no redirects and uses no cookies, proxies or netrc files.
- A request is sent once, on one connection. The caller decides whether it may be retried.
- The number of connections is not limited, and only connecting has a timeout: callers are few and have deadlines.
- The connection that was used last is reused first. One that was idle for ``IDLE_TIMEOUT`` seconds is closed.
- A server may close a persistent connection at any time (RFC 9112 section 9.3.1). That is not a failure of the server
  and has its own error, so that the caller can retry on a new connection.
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
from .message import NO_FIELDS, BodyStream, Request, Response, ResponseParser

USER_AGENT: Final = "r2-upload-broker"
"""The User-Agent of all requests to the store and to the identity service."""

IDLE_TIMEOUT: Final = 300.0
"""Seconds after which an idle connection is closed.

Cloudflare closes idle connections after 400 s (developers.cloudflare.com/fundamentals/reference/connection-limits). A
NAT gateway of AWS drops them after 350 s (docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html).
"""

_CONNECTION_ATTEMPT_DELAY: Final = 0.25  # seconds; RFC 8305 section 5
_URL: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+]|[0-9A-Za-z._-]+)(?::([0-9]{1,5}))?(/[!-~]*)?")
_PORTS: Final = {"http": 80, "https": 443}
_TCP_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # seconds, seconds, probes


@cache
def default_tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificates and host names by the system's certificate authorities.

    Loading these blocks for long, so it is done on first use and in a thread.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # the OpenSSL of some platforms allows older versions (RFC 8996)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Origin:
    """A client of the origin of ``url``, whose path is ``path``. Every request has ``Host`` and ``fields``.

    ``connect_timeout`` is the maximum time to establish a connection in seconds. Raises ``ValueError`` for other URLs.
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
        self._common_lines = [f"Host: {authority}", *(f"{name}: {value}" for name, value in fields.items())]
        self._connect_timeout = connect_timeout
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._idle_timer: asyncio.TimerHandle | None = None

    async def send(self, request: Request, *, is_fresh: bool = False) -> Response:
        """Send a request and return its response; raise ``HttpError`` or ``OSError``.

        ``is_fresh`` sends it on a new connection, which replaces an idle one. Otherwise ``KeptConnectionLostError`` is
        raised if a reused connection has ended.
        """
        encoded = request.encoded(self._common_lines)
        parser = ResponseParser(request.method, request.limit)
        idle = self._take_idle()
        if idle and is_fresh:
            idle.abort()  # retries must not increase the number of connections
        elif idle:
            try:
                return await self._send_on(idle, encoded, parser, request.stream)
            except (ServerDisconnectedError, ConnectionError):
                raise KeptConnectionLostError from None
            except asyncio.CancelledError:
                self._close_idle()
                raise
        return await self._send_on(await self._connect(), encoded, parser, request.stream)

    async def close(self) -> None:
        """Close all connections. A later request opens a new one."""
        if self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._idle.clear()
        connections = [*self._open]
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in connections))

    async def _send_on(
        self, connection: Connection, encoded: bytes, parser: ResponseParser, stream: BodyStream | None
    ) -> Response:
        response = await connection.send(encoded, parser, stream)
        if connection.is_open:
            self._add_idle(connection)
        return response

    def _close_idle(self) -> None:
        """Close all idle connections: after a timeout on one, all may be routed through a broken network."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _take_idle(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - IDLE_TIMEOUT
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def _add_idle(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._idle_timer is None:
            self._idle_timer = loop.call_later(IDLE_TIMEOUT, self._close_expired)

    def _close_expired(self) -> None:
        """Close connections that were idle for too long, and schedule the next call for the others."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - IDLE_TIMEOUT
        idle, self._idle = self._idle, []
        for connection in idle:
            if connection.is_open and connection.idle_since > oldest:
                self._idle.append(connection)
            else:
                connection.abort()
        self._idle_timer = (
            loop.call_at(self._idle[0].idle_since + IDLE_TIMEOUT, self._close_expired) if self._idle else None
        )

    async def _connect(self) -> Connection:
        """Open a connection to the first address of the host that accepts one (RFC 8305).

        The timeout does not include the lookup of addresses, which does not depend on the server.
        """
        loop = asyncio.get_running_loop()
        addresses = await self._addresses.get()
        context = await asyncio.to_thread(default_tls_context) if self._is_tls else None
        try:
            async with asyncio.timeout(self._connect_timeout):
                raw_socket = await start_connection(
                    addresses, happy_eyeballs_delay=_CONNECTION_ATTEMPT_DELAY, interleave=1
                )
                _enable_keepalive(raw_socket)
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._open.discard),
                    sock=raw_socket,
                    ssl=context,
                    server_hostname=self._host if self._is_tls else None,
                )
        except TimeoutError:
            raise ConnectionTimeoutError from None
        self._open.add(connection)
        return connection


def _enable_keepalive(connection: socket.socket) -> None:
    """Enable TCP keep-alive, which detects a dead idle connection within a minute (RFC 9293 section 3.8.4)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in _TCP_KEEP_ALIVE.keys() & vars(socket):  # not every platform has all of them
        connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), _TCP_KEEP_ALIVE[name])
