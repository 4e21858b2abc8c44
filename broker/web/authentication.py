"""Authentication: a handler runs only for a request with a valid bearer token."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from broker.auth.bearer import TokenVerifier
from broker.core.model import Principal
from broker.errors import StorageNotConfiguredError
from broker.service.assembly import Services
from broker.store.slots import CALLER

from . import request_record
from .query import field_values

Handler = Callable[[Services, Request, Principal], Awaitable[Response]]
"""Handles a request of an authenticated principal."""

PublicHandler = Callable[[Request], Awaitable[Response]]
"""Handles a request that need not be authenticated."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Verifies the token of a request, applies the user's rate limit, and runs the handler.

    ``services`` is ``None`` without a configured store, and ``missing`` then names the settings that are missing.
    ``clock`` returns the seconds since the Unix epoch.
    """

    verifier: TokenVerifier
    services: Services | None
    missing: tuple[str, ...]
    clock: Callable[[], float]

    def require(self, handler: Handler) -> PublicHandler:
        """Return ``handler`` for requests that have yet to be authenticated."""

        async def authenticated(request: Request) -> Response:
            fields = field_values(request.scope, b"authorization")
            principal = await self.verifier.authenticate(fields, now=int(self.clock()))
            request_record.add(request.scope, "sub", principal.subject)
            if self.services is None:
                raise StorageNotConfiguredError(self.missing)
            has_fields = await self.services.rate_limit.spend(principal)
            if not principal.is_service:
                CALLER.set(principal.subject)
            response = await handler(self.services, request, principal)
            if has_fields and response.status_code < 300:  # a client may delay a redirect because of them
                stated = self.services.rate_limit.fields(principal).items()
                response.raw_headers.extend((name.lower().encode(), value.encode()) for name, value in stated)
            return response

        return authenticated
