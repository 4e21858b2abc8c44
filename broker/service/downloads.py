"""Signed download links to ready objects, and to nothing else.

Links are stable: the signing time is floored to a window and the lifetime lengthened by it. All who ask within one
window get the same URL, so caches hit, and no link lives shorter than was asked.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from broker.core import object_keys
from broker.core.disposition import Disposition, content_disposition
from broker.core.media import is_media_extension
from broker.core.model import Principal
from broker.core.upload_rules import DownloadAccess, DownloadPolicy, may_download
from broker.crypto.object_signer import ObjectSigner
from broker.error_texts import Detail
from broker.errors import ForbiddenError, NotFoundError

from .batches import for_each
from .objects import Objects, check_keys


class LinkOptions(Struct, frozen=True):
    """What is asked of a link. ``expires_in`` is in seconds, ``None`` for the deployment's own lifetime."""

    expires_in: int | None = None
    disposition: Disposition | None = None
    filename: str | None = None


class Link(Struct, frozen=True):
    """A signed download link. ``stable_for`` is the seconds until the same request gets another URL."""

    key: str
    url: str
    expires_at: int
    stable_for: int


class Downloads:
    """The use cases of downloads."""

    def __init__(
        self,
        *,
        objects: Objects,
        signer: ObjectSigner,
        policy: DownloadPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._objects = objects
        self._signer = signer
        self.policy = policy
        self._clock = clock

    async def link(self, principal: Principal, key: str, options: LinkOptions) -> Link:
        """A link to ``key``; raises ``NotFoundError`` or ``ForbiddenError``.

        Needs the store only where access depends on the object's owner.
        """
        if not object_keys.is_ready_key(key):
            raise NotFoundError(Detail.OBJECT_NOT_FOUND)
        await self._authorize(principal, (key,))
        return self._sign(key, options, int(self._clock()))

    async def links(self, principal: Principal, wanted: Sequence[str], options: LinkOptions) -> list[Link]:
        """Links to all of ``wanted``, in order; one that is refused refuses them all."""
        check_keys(wanted)
        await self._authorize(principal, wanted)
        now = int(self._clock())
        return [self._sign(key, options, now) for key in wanted]

    def needs_look(self, principal: Principal) -> bool:
        """Whether each link needs a look at the store, because access depends on the object's owner."""
        return self.policy.access is DownloadAccess.OWNER and not principal.is_service

    async def _authorize(self, principal: Principal, wanted: Sequence[str]) -> None:
        allowed = may_download(principal, self.policy.access)
        if allowed is False:
            raise ForbiddenError(Detail.DOWNLOAD_FORBIDDEN)
        if allowed is None:
            await for_each(set(wanted), lambda key: self._objects.get(principal, key))

    def _sign(self, key: str, options: LinkOptions, now: int) -> Link:
        window = self.policy.window
        start = now - now % window if window else now
        lifetime = (options.expires_in or self.policy.url_lifetime) + window
        url = self._signer.presign(key, now=start, expires_in=lifetime, query=_overrides(key, options))
        return Link(key, url, start + lifetime, start + window - now)


def _overrides(key: str, options: LinkOptions) -> dict[str, str]:
    """The response headers that the link signs (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).

    An object that the broker did not promote may be anything: it is never shown, only saved.
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
