"""Confirmation: join the parts, check what is staged, promote it, and give the track-ready answer.

Rules of this module
- A tombstone where the upload was staged wins over everything else that is found.
- The answer to an upload that is ready is made from the ready object alone, so that it never says more than what was
  checked when it was promoted.
"""

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from broker.core.layout import Layout
from broker.core.media import SNIFF_BYTES
from broker.core.model import Evidence, ObjectHead, StoredObject, TrackReady, Upload
from broker.core.tombstone import is_tombstone
from broker.core.verification import check, evidence
from broker.crypto.receipts import Receipts
from broker.error_texts import Detail
from broker.errors import StorageUnavailableError, UploadDeletedError, UploadExpiredError
from broker.store.port import QUICK_COPY_MAX, ObjectStore

from .multipart import Multiparts
from .promotion import Promoting, Promotion

log = logging.getLogger("broker.service")

_SHA256: Final = "sha256"
_EVIDENCE: Final = "sha256-evidence"
_EVIDENCES: Final = frozenset(Evidence)


@dataclass(frozen=True, slots=True)
class ConfirmedUpload:
    """A track-ready upload with its public URL, if the bucket has one, and its receipt."""

    track: TrackReady
    url: str | None
    receipt: str


Confirmation = ConfirmedUpload | Promoting
"""What a confirm ends in, when nothing is wrong: the answer, or the request to confirm again."""


class Confirmer:
    """Confirms the uploads of one deployment.

    ``upload_is_evidence``: the store is known to refuse other bytes than the signed checksum's, and that is enough.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        layout: Layout,
        multiparts: Multiparts,
        promotion: Promotion,
        receipts: Receipts,
        upload_is_evidence: bool,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._layout = layout
        self._multiparts = multiparts
        self._promotion = promotion
        self._receipts = receipts
        self._upload_is_evidence = upload_is_evidence
        self._clock = clock
        self._has_warned = False

    async def confirm(self, upload: Upload) -> Confirmation:
        """Confirm the upload; see ``Uploads.confirm`` for what it raises.

        One place at the store is held from the first look to the end of a quick copy, so that no confirm is begun that
        is not finished. What takes long gives it back.
        """
        async with self._store.place():
            ready, staged = await asyncio.gather(self._store.head(self._layout.ready(upload)), self._look(upload))
            if confirmed := await self._settled(upload, staged and staged.stored, ready):
                return confirmed
            if upload.is_expired(self._clock()):
                raise UploadExpiredError(Detail.UPLOAD_EXPIRED)
            if not _takes_long(upload, staged):
                return await self._promoted(upload, staged)
        return await self._promoted(upload, staged or await self._joined(upload))

    async def _promoted(self, upload: Upload, staged: ObjectHead | None) -> Confirmation:
        """Check what is ``staged``, and copy it to where it is ready."""
        checked = check(upload.file, staged)
        proof = evidence(upload.file, checked, upload_counts=self._upload_is_evidence)
        source, target = self._layout.staged(upload), self._layout.ready(upload)
        promoted = await self._promotion.promote(source, checked, target, self._ready_headers(upload, proof))
        if isinstance(promoted, Promoting):
            return promoted
        if promoted:
            return self._confirmed(upload, promoted.etag, promoted.last_modified, proof)
        return await self._promoted_by_another(upload)

    async def _look(self, upload: Upload) -> ObjectHead | None:
        source = self._layout.staged(upload)
        return await self._store.first_bytes(source, SNIFF_BYTES, checksum=upload.file.sha256 is not None)

    async def _settled(
        self, upload: Upload, staged: StoredObject | None, ready: StoredObject | None
    ) -> ConfirmedUpload | None:
        """The answer if the upload is ready; raises ``UploadDeletedError`` if it was deleted."""
        if is_tombstone(staged):
            if ready:  # a copy that began before the tombstone ended after the deletion
                await self._store.delete(self._layout.ready(upload))
            raise UploadDeletedError
        return self._found(upload, ready) if ready else None

    async def _joined(self, upload: Upload) -> ObjectHead:
        """What is staged once the parts are joined, by us or by another process."""
        await self._multiparts.join(upload)
        staged = await self._look(upload)
        if staged is None:
            raise UploadExpiredError(Detail.PARTS_REMOVED)
        if is_tombstone(staged.stored):
            raise UploadDeletedError
        return staged

    async def _promoted_by_another(self, upload: Upload) -> ConfirmedUpload:
        """A condition of the copy failed: another process was first, or the staged object is gone or replaced."""
        ready, staged = await asyncio.gather(
            self._store.head(self._layout.ready(upload)), self._store.head(self._layout.staged(upload))
        )
        confirmed = await self._settled(upload, staged, ready)
        if confirmed is None:
            raise StorageUnavailableError("the staged object changed while it was confirmed")
        return confirmed

    def _ready_headers(self, upload: Upload, proof: Evidence | None) -> dict[str, str]:
        headers = {
            "content-type": upload.file.content_type,
            "cache-control": self._layout.cache_control(),
            "x-amz-meta-owner": quote(upload.owner, safe=""),
            "x-amz-meta-filename": quote(upload.file.filename, safe=""),
        }
        if proof and upload.file.sha256:
            headers[f"x-amz-meta-{_SHA256}"] = base64.b64encode(upload.file.sha256).decode()
            headers[f"x-amz-meta-{_EVIDENCE}"] = proof
        elif upload.file.sha256:
            self._warn()
        return headers

    def _warn(self) -> None:
        """Log once in a process that the store gives no evidence for checksums."""
        if not self._has_warned:
            self._has_warned = True
            reason = "the store returned no SHA-256 of an object whose client declared one"
            log.warning(json.dumps({"event": "broker.checksum_unproven", "reason": reason}))

    def _found(self, upload: Upload, ready: StoredObject) -> ConfirmedUpload:
        return self._confirmed(upload, ready.etag, ready.last_modified, _proof(upload, ready.metadata))

    def _confirmed(self, upload: Upload, etag: str, confirmed_at: int, proof: Evidence | None) -> ConfirmedUpload:
        key = self._layout.ready(upload).key
        track = TrackReady(upload, key, etag, confirmed_at, upload.file.sha256 if proof else None, proof)
        return ConfirmedUpload(track, self._layout.url(key), self._receipts.sign(track))


def _takes_long(upload: Upload, staged: ObjectHead | None) -> bool:
    """Whether parts must be joined first, or the copy is not a quick one."""
    return upload.multipart is not None if staged is None else staged.stored.size > QUICK_COPY_MAX


def _proof(upload: Upload, metadata: Mapping[str, str]) -> Evidence | None:
    """The evidence that was found when the object was promoted, if it was for this upload's checksum."""
    try:
        digest = base64.b64decode(metadata.get(_SHA256, ""), validate=True)
    except binascii.Error:
        return None
    name = metadata.get(_EVIDENCE)
    return Evidence(name) if digest == upload.file.sha256 and name in _EVIDENCES else None
