"""The rate limit of client addresses: a middleware that counts every request before it is authenticated."""

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.errors import RateLimitedError
from broker.service.rate_limit import RateLimiter
from broker.settings.trusted_proxies import TrustedProxies

from .client_address import counted_address
from .problems import on_broker_error

UNCOUNTED: Final = frozenset({"/healthz", "/readyz"})
"""Paths of probes, which orchestrators send from few addresses."""


class AddressLimit:
    """Counts a request for the address of its client, whatever its response will be, and refuses it over the limit."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter, proxies: TrustedProxies) -> None:
        self._app = app
        self._limiter = limiter
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] not in UNCOUNTED:
            address = counted_address(scope, self._proxies)
            try:
                await self._limiter.take(address, 1)
            except RateLimitedError as error:
                error.reason = f"the address {address} exceeds its rate limit"
                response = await on_broker_error(Request(scope, receive), error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
