"""The caller of a request of Uppy or better-upload's client: a bearer token, or a capability in the path.

Rules of this module
- The log line has the route's template, so that it does not contain a capability.
- A capability that is not valid gives the same response as an unknown upload.
- A completion waits where other requests are refused for a time (429, and 503 of the identity service): Uppy 4 and 5
  send the file again from the first byte after any error.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from broker.core.model import Principal
from broker.errors import IdentityUnavailableError, RateLimitedError, StorageNotConfiguredError
from broker.service.assembly import Services
from broker.service.companion import LONGEST_PAUSE, PATIENCE, PAUSE
from broker.service.rate_limit import Cost
from broker.store.slots import CALLER

from . import request_record
from .authentication import Authenticator, Handler, PublicHandler
from .query import field_values

WAITING_MAX: Final = 128
"""Completions of one process that wait at the same time; further ones are refused at once."""


@dataclass(frozen=True, slots=True)
class UppyAccess:
    """Finds the caller of a request, applies its rate limit, and runs the handler."""

    authenticator: Authenticator
    _waiting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WAITING_MAX), init=False)

    def by_token(self, handler: Handler, *, waits: bool = False) -> PublicHandler:
        """Return ``handler`` for requests with a bearer token; ``waits`` for a completion."""
        return self._require(handler, self._principal_by_token, waits=waits)

    def by_capability(self, handler: Handler, *, waits: bool = False) -> PublicHandler:
        """Return ``handler`` for requests with a capability in their path; ``waits`` for a completion."""
        return self._require(handler, self._principal_by_capability, waits=waits)

    def _require(
        self, handler: Handler, find: Callable[[Request], Awaitable[Principal]], *, waits: bool
    ) -> PublicHandler:
        async def authenticated(request: Request) -> Response:
            now = asyncio.get_running_loop().time
            request.state.until = now() + PATIENCE
            cost, pause = 1 + (Cost.CONFIRM if waits else 0), PAUSE
            while True:
                try:
                    principal = await self._admit(request, find, cost)
                    break
                except (IdentityUnavailableError, RateLimitedError):
                    if not waits or self._waiting.locked() or now() + pause >= request.state.until:
                        raise
                    async with self._waiting:
                        await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
            if not principal.is_service:
                CALLER.set(principal.subject)
            return await handler(self._services(), request, principal)

        return authenticated

    async def _admit(self, request: Request, find: Callable[[Request], Awaitable[Principal]], cost: int) -> Principal:
        """Return the caller, after its rate limit was applied."""
        principal = await find(request)
        request_record.add(request.scope, "sub", principal.subject)
        await self._services().rate_limit.spend(principal, cost)
        return principal

    async def _principal_by_token(self, request: Request) -> Principal:
        fields = field_values(request.scope, b"authorization")
        return await self.authenticator.verifier.authenticate(fields, now=int(self.authenticator.clock()))

    async def _principal_by_capability(self, request: Request) -> Principal:
        parameters = request.path_params
        return self._services().companion.principal_of(parameters["token"], parameters.get("upload_id"))

    def _services(self) -> Services:
        if self.authenticator.services is None:
            raise StorageNotConfiguredError(self.authenticator.missing)
        return self.authenticator.services
