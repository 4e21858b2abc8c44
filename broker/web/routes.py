"""The table of resources. ``openapi.yaml`` says the same, and a test holds the two together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Lifespan, Receive, Scope, Send

from broker.auth.tokens import TokenVerifier
from broker.core.model import Principal
from broker.errors import BrokerError, MethodNotAllowedError, NotFoundError, StorageNotConfiguredError
from broker.service import Services
from broker.store.slots import CALLER

from . import notes, objects, uploads
from .operations import Operations
from .problems import refused, unrouted
from .query import field_values

Handler = Callable[[Services, Request, Principal], Awaitable[Response]]
PublicHandler = Callable[[Request], Awaitable[Response]]

API = "/api/v1"

RESOURCES: Mapping[str, Mapping[str, Handler]] = {  # those with parameters are tried in this order: often asked, first
    f"{API}/downloads/{{key:path}}": {"GET": objects.download},
    f"{API}/uploads": {"POST": uploads.create},
    f"{API}/uploads/confirm": {"POST": uploads.confirm_many},
    f"{API}/uploads/{{upload_id}}": {"GET": uploads.look, "DELETE": uploads.abort},
    f"{API}/uploads/{{upload_id}}/parts": {"POST": uploads.parts},
    f"{API}/uploads/{{upload_id}}/confirm": {"POST": uploads.confirm},
    f"{API}/objects/delete": {"POST": objects.delete_many},
    f"{API}/objects/{{key:path}}": {"GET": objects.look, "DELETE": objects.delete},
    f"{API}/keys": {"GET": objects.key_in_url},
    f"{API}/downloads": {"POST": objects.download_many},
}


def public_resources(operations: Operations) -> dict[str, PublicHandler]:
    """What answers without a token; all by GET."""
    return {
        f"{API}/uploads/status": operations.status,
        "/healthz": operations.healthz,
        "/readyz": operations.readyz,
        "/openapi.yaml": operations.openapi,
        "/.well-known/jwks.json": operations.jwk_set,
    }


class Resource:
    """An ASGI application for one path: a handler a method, and 405 for every other method.

    It takes all methods from the router, so that a path never falls through to another with a parameter in it.
    """

    def __init__(self, methods: Mapping[str, PublicHandler]) -> None:
        self._methods = {**methods, **({"HEAD": methods["GET"]} if "GET" in methods else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, by its handler or with its refusal."""
        try:
            response = await self._handler(scope)(Request(scope, receive))
        except BrokerError as error:
            response = refused(scope, error)
        await response(scope, receive, send)

    def _handler(self, scope: Scope) -> PublicHandler:
        if scope["path"].endswith("\n"):  # a route's regex ends in ``$``, which lets one line feed pass
            raise NotFoundError("There is no such resource.")
        try:
            return self._methods[scope["method"]]
        except KeyError:
            raise MethodNotAllowedError(sorted(self._methods)) from None


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets a request with a good token through to its handler."""

    verifier: TokenVerifier
    services: Services | None
    missing: tuple[str, ...]
    clock: Callable[[], float]

    def guarded(self, handler: Handler) -> PublicHandler:
        """The handler behind the gate."""

        async def enter(request: Request) -> Response:
            fields = field_values(request.scope, b"authorization")
            principal = await self.verifier.authenticate(fields, now=int(self.clock()))
            notes.note(request.scope, "sub", principal.subject)
            if self.services is None:
                raise StorageNotConfiguredError(self.missing)
            self.services.allowance.spend(principal)
            if not principal.is_service:
                CALLER.set(principal.subject)
            return await handler(self.services, request, principal)

        return enter


class Table:
    """The application of all routes: paths without parameters by one look-up, the others by starlette's router.

    Nothing is redirected to a path with another slash: the Location would be made from the Host field.
    """

    def __init__(self, listed: Sequence[Route], lifespan: Lifespan[Router] | None = None) -> None:
        self._exact = {route.path: route for route in listed if not route.param_convertors}
        self._router = Router(
            [route for route in listed if route.param_convertors],
            redirect_slashes=False,
            default=unrouted,
            lifespan=lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the process's lifespan."""
        route = self._exact.get(scope.get("path", ""))
        if route is None:
            await self._router(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)


def routes(gate: Gate, operations: Operations) -> list[Route]:
    """Every route."""
    public = {path: {"GET": handler} for path, handler in public_resources(operations).items()}
    guarded = {
        path: {method: gate.guarded(handler) for method, handler in methods.items()}
        for path, methods in RESOURCES.items()
    }
    return [Route(path, Resource(methods)) for path, methods in {**public, **guarded}.items()]
