"""Confirmation of an upload: complete its parts, verify the staged object, promote it, sign the receipt.

Rules of this module
- A tombstone in place of the staged object takes precedence over every other finding.
- The response for a ready upload is made from the ready object alone, so that it states only what was verified when
  the object was promoted.
"""

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from broker.core.layout import Layout
from broker.core.media import SNIFF_BYTES
from broker.core.model import Content, Evidence, ObjectHead, StoredObject, Track, Upload
from broker.core.parts import UNSIZED
from broker.core.tombstone import is_tombstone
from broker.core.verification import check, evidence
from broker.crypto.receipts import Receipts
from broker.error_texts import Detail
from broker.errors import StorageUnavailableError, UploadDeletedError, UploadExpiredError
from broker.store.port import QUICK_COPY_MAX, ObjectStore

from .multipart import Multiparts
from .observer import Observer
from .promotion import Promoting, Promotion

log = logging.getLogger("broker.service")

_SHA256: Final = "sha256"
_EVIDENCE: Final = "sha256-evidence"
_EVIDENCES: Final = frozenset(Evidence)
_NO_EVIDENCE: Final = "the store returned no SHA-256 of an object whose client declared one"


@dataclass(frozen=True, slots=True)
class ConfirmedUpload:
    """A track-ready upload with its receipt, and its public URL if the bucket has one."""

    track: Track
    url: str | None
    receipt: str


Confirmation = ConfirmedUpload | Promoting
"""The result of a confirm: the ready upload, or the progress of a promotion that needs another confirm."""


@dataclass(frozen=True, slots=True)
class Confirmer:
    """Confirms the uploads of one deployment.

    ``upload_is_evidence``: the store is known to refuse bytes that do not match the signed checksum, and the deployment
    accepts that as evidence. ``clock`` returns the seconds since the Unix epoch.
    """

    store: ObjectStore
    layout: Layout
    multiparts: Multiparts
    promotion: Promotion
    receipts: Receipts
    upload_is_evidence: bool
    clock: Callable[[], float]
    observer: Observer | None = None
    _logged: set[str] = field(default_factory=set, init=False)

    async def confirm(self, upload: Upload) -> Confirmation:
        """Confirm the upload; ``Uploads.confirm`` lists the errors.

        A slot is reserved from the first call to the store to the end of a quick copy, so that a confirm which starts
        also finishes. Long work does not hold it.
        """
        async with self.store.reserve():
            ready, staged = await asyncio.gather(self.store.head(self.layout.ready(upload)), self._read_staged(upload))
            upload = self._sized(upload, staged, ready)
            if confirmed := await self._finished(upload, staged and staged.stored, ready):
                return confirmed
            if upload.is_expired(self.clock()):
                raise UploadExpiredError(Detail.UPLOAD_EXPIRED)
            if not _takes_long(upload, staged):
                return await self._promote(upload, staged)
        staged = staged or await self._complete_parts(upload)
        return await self._promote(self._sized(upload, staged), staged)

    def _sized(self, upload: Upload, staged: ObjectHead | None, ready: StoredObject | None = None) -> Upload:
        """Return an upload whose client did not declare a size with that of its object; raise ``TooLargeError``."""
        if upload.file.size != UNSIZED:
            return upload
        if ready is None and staged:
            self.multiparts.policy.check_size(staged.stored.size)
        size = ready.size if ready else staged.stored.size if staged else UNSIZED
        return replace(upload, file=replace(upload.file, size=size))

    async def _promote(self, upload: Upload, staged: ObjectHead | None) -> Confirmation:
        """Verify the staged object, and copy it to its ready key."""
        verified = check(upload.file, staged, staged and await self._read_content(upload, staged))
        proof = evidence(upload.file, verified, upload_counts=self.upload_is_evidence)
        source, target = self.layout.staged(upload), self.layout.ready(upload)
        promoted = await self.promotion.promote(source, verified, target, self._ready_headers(upload, proof))
        if isinstance(promoted, Promoting):
            return promoted
        if promoted:
            self._report(upload, verified.size)
            return self._confirmed(upload, promoted.etag, promoted.last_modified, proof)
        return await self._resolve_conflict(upload)

    def _report(self, upload: Upload, size: int) -> None:
        """Report the first confirm of an upload. If another process confirms it first, that one reports it."""
        if self.observer:
            created_at = upload.expires_at - self.multiparts.policy.lifetime
            self.observer.confirmed(size, max(0, int(self.clock()) - created_at))

    async def _read_staged(self, upload: Upload) -> ObjectHead | None:
        source = self.layout.staged(upload)
        return await self.store.first_bytes(source, SNIFF_BYTES, checksum=upload.file.sha256 is not None)

    async def _read_content(self, upload: Upload, staged: ObjectHead) -> Content | None:
        """Read the first bytes of the content if a long tag precedes it, of the version that was read before."""
        stored = staged.stored
        is_declared = stored.size == upload.file.size and not stored.content_encoding
        offset = upload.file.media_type.content_beyond(staged.first_bytes, stored.size) if is_declared else 0
        if not offset:
            return None
        source = self.layout.staged(upload)
        content = await self.store.more_bytes(source, offset, SNIFF_BYTES, if_match=stored.etag)
        if content is None:
            raise StorageUnavailableError("the staged object changed while it was confirmed")
        return Content(offset, content)

    async def _finished(
        self, upload: Upload, staged: StoredObject | None, ready: StoredObject | None
    ) -> ConfirmedUpload | None:
        """Return the result if the upload is ready; raise ``UploadDeletedError`` if it was deleted."""
        if is_tombstone(staged):
            if ready:  # a copy that started before the tombstone ended after the deletion
                await self.store.delete(self.layout.ready(upload))
            raise UploadDeletedError
        if ready is None:
            return None
        return self._confirmed(upload, ready.etag, ready.last_modified, _stored_evidence(upload, ready.metadata))

    async def _complete_parts(self, upload: Upload) -> ObjectHead:
        """Return the staged object after its parts were completed, by this or by another process."""
        await self.multiparts.complete(upload)
        staged = await self._read_staged(upload)
        if staged is None:
            raise UploadExpiredError(Detail.PARTS_REMOVED)
        if is_tombstone(staged.stored):
            raise UploadDeletedError
        return staged

    async def _resolve_conflict(self, upload: Upload) -> ConfirmedUpload:
        """Return the result of another process, after a condition of the copy failed.

        Raises ``StorageUnavailableError`` when the staged object was replaced or removed instead.
        """
        ready, staged = await asyncio.gather(
            self.store.head(self.layout.ready(upload)), self.store.head(self.layout.staged(upload))
        )
        confirmed = await self._finished(upload, staged, ready)
        if confirmed is None:
            raise StorageUnavailableError("the staged object changed while it was confirmed")
        return confirmed

    def _ready_headers(self, upload: Upload, proof: Evidence | None) -> dict[str, str]:
        headers = self.layout.ready_headers(upload)
        if proof and upload.file.sha256:
            headers[f"x-amz-meta-{_SHA256}"] = base64.b64encode(upload.file.sha256).decode()
            headers[f"x-amz-meta-{_EVIDENCE}"] = proof
        elif upload.file.sha256:
            self._warn_once(_NO_EVIDENCE)
        return headers

    def _warn_once(self, reason: str) -> None:
        """Log the first time in this process that a declared checksum has no evidence."""
        if reason not in self._logged:
            self._logged.add(reason)
            log.warning(json.dumps({"event": "broker.checksum_unproven", "reason": reason}))

    def _confirmed(self, upload: Upload, etag: str, confirmed_at: int, proof: Evidence | None) -> ConfirmedUpload:
        key = self.layout.ready(upload).key
        track = Track(upload, key, etag, confirmed_at, upload.file.sha256 if proof else None, proof)
        return ConfirmedUpload(track, self.layout.url(key), self.receipts.sign(track))


def _takes_long(upload: Upload, staged: ObjectHead | None) -> bool:
    """Return whether parts must be completed first, or the copy is not a quick one."""
    return upload.multipart is not None if staged is None else staged.stored.size > QUICK_COPY_MAX


def _stored_evidence(upload: Upload, metadata: Mapping[str, str]) -> Evidence | None:
    """Return the evidence that the promotion stored with the object, if it is for the checksum of this upload."""
    try:
        digest = base64.b64decode(metadata.get(_SHA256, ""), validate=True)
    except binascii.Error:
        return None
    name = metadata.get(_EVIDENCE)
    return Evidence(name) if digest == upload.file.sha256 and name in _EVIDENCES else None
