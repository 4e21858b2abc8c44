"""The ready objects of the API: ``/api/v1/objects``, ``/api/v1/keys`` and ``/api/v1/downloads``."""

from starlette.requests import Request
from starlette.responses import Response

from broker.core.disposition import Disposition, clean_name
from broker.core.model import Principal
from broker.error_texts import Rule, shown
from broker.errors import StorageUnavailableError
from broker.service.assembly import Services
from broker.service.downloads import LinkOptions
from broker.service.rate_limit import Cost

from . import request_record, schemas
from .body import convert, read_json
from .query import parameters, refuse


async def look(services: Services, request: Request, principal: Principal) -> Response:
    """What the store says of an object."""
    parameters(request)
    services.rate_limit.spend_more(principal, Cost.READ_OBJECT)
    return schemas.json_response(
        schemas.ready_object(await services.objects.get(principal, request.path_params["key"]))
    )


async def delete(services: Services, request: Request, principal: Principal) -> Response:
    """Delete an object."""
    parameters(request)
    services.rate_limit.spend_more(principal, Cost.DELETE)
    await services.objects.delete(principal, request.path_params["key"])
    return Response(status_code=204, headers=schemas.NO_STORE)


async def delete_many(services: Services, request: Request, principal: Principal) -> Response:
    """Delete many objects, for the service."""
    parameters(request)
    keys = convert(await read_json(request, limit=KEYS_BODY_MAX), schemas.KeysIn).keys
    failed = await services.objects.delete_many(principal, keys)
    request_record.note_failures(
        request.scope,
        [(i, StorageUnavailableError.code, failed[key]) for i, key in enumerate(keys) if key in failed],
    )
    return schemas.json_response(schemas.deleted(keys, failed))


async def key_in_url(services: Services, request: Request, principal: Principal) -> Response:  # noqa: ARG001  the handlers' one shape
    """The key inside a URL."""
    url = parameters(request, "url").get("url")
    if not url:
        raise refuse("url", Rule.REQUIRED)
    return schemas.json_response({"key": services.objects.key_in(url)})


async def download(services: Services, request: Request, principal: Principal) -> Response:
    """A signed link to one object, or a redirect to it."""
    given = parameters(request, "expiresIn", "filename", "disposition", "redirect")
    redirect = given.get("redirect", "0")
    if redirect not in ("0", "1"):
        raise refuse("redirect", Rule.REDIRECT)
    options = LinkOptions(
        _expires_in(services, given.get("expiresIn")),
        _disposition(given.get("disposition")),
        _name(given.get("filename")),
    )
    if services.downloads.needs_owner(principal):
        services.rate_limit.spend_more(principal, Cost.READ_OBJECT)
    link = await services.downloads.link(principal, request.path_params["key"], options)
    # A stable link may be kept by its holder's own cache until the window ends
    cache = f"private, max-age={link.stable_for}" if link.stable_for else "no-store"
    if redirect == "1":
        return Response(status_code=307, headers={**schemas.NO_STORE, "Cache-Control": cache, "Location": link.url})
    return schemas.json_response(schemas.link(link), cache_control=cache.encode())


async def download_many(services: Services, request: Request, principal: Principal) -> Response:
    """Signed links to many objects."""
    parameters(request)
    wanted = convert(await read_json(request, limit=KEYS_BODY_MAX), schemas.LinksIn)
    count = len(wanted.keys)
    looks = count * Cost.READ_OBJECT if services.downloads.needs_owner(principal) else 0
    services.rate_limit.spend_more(principal, count - 1 + looks)
    expires_in = _in_range(services, wanted.expires_in)
    links = await services.downloads.links(principal, wanted.keys, LinkOptions(expires_in, wanted.disposition))
    return schemas.json_response({"downloads": [schemas.link(link) for link in links]})


def _expires_in(services: Services, text: str | None) -> int | None:
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise refuse("expiresIn", Rule.EXPIRES_IN)
    return _in_range(services, None if text is None else int(text))


def _in_range(services: Services, expires_in: int | None) -> int | None:
    longest = services.downloads.policy.url_lifetime
    if expires_in is not None and not 1 <= expires_in <= longest:
        raise refuse("expiresIn", Rule.EXPIRES_IN_RANGE.format(limit=longest, received=shown(expires_in)))
    return expires_in


def _disposition(text: str | None) -> Disposition | None:
    match text:
        case None | "inline" | "attachment":
            return text
        case _:
            raise refuse("disposition", Rule.DISPOSITION)


def _name(text: str | None) -> str | None:
    try:
        return None if text is None else clean_name(text)
    except ValueError as error:
        raise refuse("filename", str(error)) from None


KEYS_BODY_MAX = 128 * 1024
"""Bytes of a list of keys: a thousand of them."""
