"""Presigned download links, to ready objects only.

Links are stable: the signing time is rounded down to a window, and the lifetime is extended by the window. All requests
within one window get the same URL, so that caches work, and no link expires earlier than requested.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from broker.core import object_keys
from broker.core.disposition import Disposition, content_disposition
from broker.core.download_rules import DownloadAccess, DownloadPolicy, may_download
from broker.core.layout import Layout
from broker.core.media import is_media_extension
from broker.core.model import Principal
from broker.crypto.presigner import Presigner
from broker.error_texts import Detail
from broker.errors import ForbiddenError, NotFoundError

from .batches import for_each
from .objects import Objects, check_keys


class LinkOptions(Struct, frozen=True):
    """Options of a link. ``expires_in`` is in seconds, ``None`` for the deployment's own lifetime."""

    expires_in: int | None = None
    disposition: Disposition | None = None
    filename: str | None = None


class Link(Struct, frozen=True):
    """A presigned download link. ``stable_for`` is the seconds until the same request gets a new URL."""

    key: str
    url: str
    expires_at: int
    stable_for: int


@dataclass(frozen=True, slots=True)
class Downloads:
    """The use cases of downloads. ``clock`` returns the seconds since the Unix epoch."""

    objects: Objects
    layout: Layout
    presigner: Presigner
    policy: DownloadPolicy
    clock: Callable[[], float]

    async def link(self, principal: Principal, key: str, options: LinkOptions) -> Link:
        """Return a link to ``key``; raise ``NotFoundError`` or ``ForbiddenError``.

        It needs the store only where access depends on the object's owner.
        """
        if not object_keys.is_ready_key(key):
            raise NotFoundError(Detail.OBJECT_NOT_FOUND)
        await self._authorize(principal, (key,))
        return self._presign(key, options, int(self.clock()))

    async def links(self, principal: Principal, keys: Sequence[str], options: LinkOptions) -> list[Link]:
        """Return links to all of ``keys``, in order; an error for one key is the error for all."""
        check_keys(keys)
        await self._authorize(principal, keys)
        now = int(self.clock())
        return [self._presign(key, options, now) for key in keys]

    def needs_owner(self, principal: Principal) -> bool:
        """Return whether each link needs a request to the store, because access depends on the object's owner."""
        return self.policy.access is DownloadAccess.OWNER and not principal.is_service

    async def _authorize(self, principal: Principal, keys: Sequence[str]) -> None:
        allowed = may_download(principal, self.policy.access)
        if allowed is False:
            raise ForbiddenError(Detail.DOWNLOAD_FORBIDDEN)
        if allowed is None:
            await for_each(set(keys), lambda key: self.objects.get(principal, key))

    def _presign(self, key: str, options: LinkOptions, now: int) -> Link:
        window = self.policy.window
        start = now - now % window if window else now
        lifetime = (options.expires_in or self.policy.url_lifetime) + window
        ref, query = self.layout.object(key), _overrides(key, options)
        url = self.presigner.presign("GET", ref, now=start, expires_in=lifetime, query=query)
        return Link(key, url, start + lifetime, start + window - now)


def _overrides(key: str, options: LinkOptions) -> dict[str, str]:
    """Return the response headers that the link signs (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).

    An object that the broker did not promote may have any content: browsers save it and never show it.
    """
    if not is_media_extension(object_keys.extension(key)):
        return {
            "response-content-disposition": content_disposition("attachment", options.filename),
            "response-content-type": "application/octet-stream",
        }
    disposition = options.disposition or ("attachment" if options.filename else None)
    if disposition is None:
        return {}
    return {"response-content-disposition": content_disposition(disposition, options.filename)}
