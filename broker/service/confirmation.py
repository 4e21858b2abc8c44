"""Confirmation: join the parts, check what is staged, promote it, and give the track-ready answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from broker.core.layout import Layout
from broker.core.media import SNIFF_BYTES
from broker.core.model import Beginning, TrackReady, Upload
from broker.core.receipts import Receipts
from broker.core.verification import check
from broker.errors import StorageUnavailableError, UploadExpiredError
from broker.store.port import ObjectStore

from .multipart import Multiparts
from .promotion import Promoting, Promotion


@dataclass(frozen=True, slots=True)
class ConfirmedUpload:
    """A track-ready upload with its public URL, if the bucket has one, and its receipt."""

    track: TrackReady
    url: str | None
    receipt: str


Confirmation = ConfirmedUpload | Promoting
"""What a confirm ends in, when nothing is wrong: the answer, or the wish to be asked again."""


class Confirmer:
    """Confirms the uploads of one deployment."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        layout: Layout,
        multiparts: Multiparts,
        promotion: Promotion,
        receipts: Receipts,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._layout = layout
        self._multiparts = multiparts
        self._promotion = promotion
        self._receipts = receipts
        self._clock = clock

    async def confirm(self, upload: Upload) -> Confirmation:
        source, target = self._layout.staged(upload), self._layout.ready(upload)
        ready, staged = await asyncio.gather(self._store.head(target), self._store.first_bytes(source, SNIFF_BYTES))
        if ready:
            return self._confirmed(upload, ready.etag, ready.last_modified)
        if upload.is_expired(self._clock()):
            raise UploadExpiredError("The upload was not confirmed in time. Start a new one.")
        if staged is None and upload.multipart:
            staged = await self._joined(upload)
        checked = check(upload.file, staged)
        promoted = await self._promotion.promote(source, checked, target, self._ready_headers(upload))
        if isinstance(promoted, Promoting):
            return promoted
        if promoted:
            return self._confirmed(upload, promoted.etag, promoted.last_modified)
        return await self._confirmed_by_another(upload)

    async def _joined(self, upload: Upload) -> Beginning:
        """What is staged once the parts are joined, by us or by another process."""
        await self._multiparts.join(upload)
        staged = await self._store.first_bytes(self._layout.staged(upload), SNIFF_BYTES)
        if staged is None:
            raise UploadExpiredError("The upload was given up. Start a new one.")
        return staged

    async def _confirmed_by_another(self, upload: Upload) -> ConfirmedUpload:
        """The copy's conditions failed: another process was first, or the staged object is gone or changed."""
        ready = await self._store.head(self._layout.ready(upload))
        if ready is None:
            raise StorageUnavailableError("the staged object changed while it was confirmed")
        return self._confirmed(upload, ready.etag, ready.last_modified)

    def _ready_headers(self, upload: Upload) -> dict[str, str]:
        return {
            "content-type": upload.file.content_type,
            "cache-control": self._layout.cache_control(),
            "x-amz-meta-owner": quote(upload.owner, safe=""),
            "x-amz-meta-filename": quote(upload.file.filename, safe=""),
        }

    def _confirmed(self, upload: Upload, etag: str, confirmed_at: int) -> ConfirmedUpload:
        key = self._layout.ready(upload).key
        track = TrackReady(upload, key, etag, confirmed_at)
        return ConfirmedUpload(track, self._layout.url(key), self._receipts.sign(track))
