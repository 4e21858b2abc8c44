"""The routes of Uppy and of better-upload's client. ``openapi.yaml`` describes those with a bearer token."""

from collections.abc import Callable, Mapping
from typing import Final

from starlette.routing import Route

from . import better_upload, uppy_endpoints, uppy_presign, uppy_xml
from .authentication import Authenticator, Handler, PublicHandler
from .resource import Resource
from .uppy_access import UppyAccess

Handlers = Mapping[str, Mapping[str, Handler]]

S3: Final[Handlers] = {
    "/s3/multipart/{upload_id}/batch": {"GET": uppy_endpoints.sign_parts},
    "/s3/multipart/{upload_id}/complete": {"POST": uppy_endpoints.complete},
    "/s3/multipart/{upload_id}/{number}": {"GET": uppy_endpoints.sign_part},
    "/s3/multipart/{upload_id}": {"GET": uppy_endpoints.list_parts, "DELETE": uppy_endpoints.abort},
    "/s3/multipart": {"POST": uppy_endpoints.create},
    "/s3/params": {"GET": uppy_endpoints.params},
}
"""Companion's routes, by token and by session. ``batch`` and ``complete`` are matched before a number."""

BY_TOKEN: Final[Handlers] = {
    **S3,
    "/s3/presign": {"POST": uppy_presign.presign},
    "/api/v1/sessions": {"POST": uppy_endpoints.open_session},
    "/api/upload": {"POST": better_upload.create},
}
"""The resources that need a bearer token."""

XML: Final[Handlers] = {
    "/s3/xml/{upload_id}/create": {"POST": uppy_xml.create},
    "/s3/xml/{upload_id}/complete": {"POST": uppy_xml.complete},
    "/s3/xml/{upload_id}": {"GET": uppy_xml.list_parts, "DELETE": uppy_xml.abort},
}
"""The requests about an upload in parts, with S3's XML."""

_WAITING: Final = (uppy_endpoints.complete, uppy_xml.complete)


def uppy_routes(authenticator: Authenticator) -> list[Route]:
    """Return the routes, the most specific first."""
    access = UppyAccess(authenticator)

    def by_token(handler: Handler) -> PublicHandler:
        found = access.by_token(handler, waits=handler in _WAITING)
        return better_upload.with_error_object(found) if handler is better_upload.create else found

    def by_session(handler: Handler) -> PublicHandler:
        return access.by_capability(handler, waits=handler in _WAITING)

    def in_xml(handler: Handler) -> PublicHandler:
        return uppy_xml.with_xml_errors(by_session(handler))

    below = "/c/{token}"
    return [
        *(Route(path, _resource(handlers, by_token)) for path, handlers in BY_TOKEN.items()),
        *(Route(below + path, _resource(handlers, by_session)) for path, handlers in S3.items()),
        *(Route(below + path, _resource(handlers, in_xml)) for path, handlers in XML.items()),
    ]


def _resource(handlers: Mapping[str, Handler], admit: Callable[[Handler], PublicHandler]) -> Resource:
    return Resource({method: admit(handler) for method, handler in handlers.items()})
