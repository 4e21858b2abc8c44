"""The endpoints of ready objects: ``/api/v1/objects``, ``/api/v1/keys`` and ``/api/v1/downloads``."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from broker.core.disposition import Disposition, clean_name
from broker.core.model import Principal
from broker.error_texts import Detail, Rule, shown
from broker.errors import NotFoundError, StorageUnavailableError
from broker.service.assembly import Services
from broker.service.downloads import LinkOptions
from broker.service.rate_limit import Cost

from . import representations, request_record, schemas
from .body import convert, read_json
from .query import invalid, parameters
from .responses import NO_STORE, json_response

KEYS_BODY_MAX: Final = 128 * 1024
"""Maximum bytes of a body with a list of a thousand keys."""

_ONE_SPELLING: Final = re.compile(rb"(?:[^%;]|%[0-9A-Fa-f]{2})*")


async def get(services: Services, request: Request, principal: Principal) -> Response:
    """Return the properties of an object."""
    parameters(request)
    await services.rate_limit.spend_more(principal, Cost.READ_OBJECT)
    found = await services.objects.get(principal, _key(request))
    return json_response(representations.ready_object(found))


async def delete(services: Services, request: Request, principal: Principal) -> Response:
    """Delete an object."""
    parameters(request)
    await services.rate_limit.spend_more(principal, Cost.DELETE)
    await services.objects.delete(principal, _key(request))
    return Response(status_code=204, headers=NO_STORE)


async def delete_many(services: Services, request: Request, principal: Principal) -> Response:
    """Delete many objects, for a service."""
    parameters(request)
    keys = convert(await read_json(request, limit=KEYS_BODY_MAX), schemas.ObjectKeys).keys
    failed = await services.objects.delete_many(principal, keys)
    request_record.add_failures(
        request.scope,
        [(i, StorageUnavailableError.code, failed[key]) for i, key in enumerate(keys) if key in failed],
    )
    return json_response(representations.delete_results(keys, failed))


async def find_key(services: Services, request: Request, principal: Principal) -> Response:  # noqa: ARG001  the handlers' one shape
    """Return the key inside a URL."""
    url = parameters(request, "url").get("url")
    if not url:
        raise invalid("url", Rule.REQUIRED)
    return json_response(schemas.FoundKey(services.objects.key_in(url)))


async def download(services: Services, request: Request, principal: Principal) -> Response:
    """Return a presigned link to one object, or redirect to it."""
    given = parameters(request, "expiresIn", "filename", "disposition", "redirect")
    redirect = given.get("redirect", "0")
    if redirect not in ("0", "1"):
        raise invalid("redirect", Rule.REDIRECT)
    options = LinkOptions(
        _expires_in(services, given.get("expiresIn")),
        _disposition(given.get("disposition")),
        _name(given.get("filename")),
    )
    if services.downloads.needs_owner(principal):
        await services.rate_limit.spend_more(principal, Cost.READ_OBJECT)
    link = await services.downloads.link(principal, _key(request), options)
    # The cache of the client may keep a stable link until the window ends
    cache = f"private, max-age={link.stable_for}" if link.stable_for else "no-store"
    if redirect == "1":
        return Response(status_code=307, headers={**NO_STORE, "Cache-Control": cache, "Location": link.url})
    return json_response(representations.download(link), cache_control=cache.encode())


async def download_many(services: Services, request: Request, principal: Principal) -> Response:
    """Return presigned links to many objects."""
    parameters(request)
    wanted = convert(await read_json(request, limit=KEYS_BODY_MAX), schemas.CreateDownloads)
    count = len(wanted.keys)
    reads = count * Cost.READ_OBJECT if services.downloads.needs_owner(principal) else 0
    await services.rate_limit.spend_more(principal, count - 1 + reads)
    expires_in = _in_range(services, wanted.expires_in)
    links = await services.downloads.links(principal, wanted.keys, LinkOptions(expires_in, wanted.disposition))
    return json_response(schemas.DownloadLinks([representations.download(link) for link in links]))


def _key(request: Request) -> str:
    """Return the key in the path; raise ``NotFoundError`` for a second spelling of a key of JamSync.

    A percent sign without two hexadecimal digits would mean the same as ``%25``. Some proxies cut a path at a bare
    semicolon, so that only ``%3B`` is one.
    """
    key: str = request.path_params["key"]
    if ("%" in key or ";" in key) and not _ONE_SPELLING.fullmatch(request.scope["raw_path"]):
        raise NotFoundError(Detail.OBJECT_NOT_FOUND)
    return key


def _expires_in(services: Services, text: str | None) -> int | None:
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid("expiresIn", Rule.EXPIRES_IN)
    return _in_range(services, None if text is None else int(text))


def _in_range(services: Services, expires_in: int | None) -> int | None:
    longest = services.downloads.policy.url_lifetime
    if expires_in is not None and not 1 <= expires_in <= longest:
        raise invalid("expiresIn", Rule.EXPIRES_IN_RANGE.format(limit=longest, received=shown(expires_in)))
    return expires_in


def _disposition(text: str | None) -> Disposition | None:
    match text:
        case None | "inline" | "attachment":
            return text
        case _:
            raise invalid("disposition", Rule.DISPOSITION)


def _name(text: str | None) -> str | None:
    try:
        return None if text is None else clean_name(text)
    except ValueError as error:
        raise invalid("filename", str(error)) from None
