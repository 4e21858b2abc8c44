"""Uploads: promise, look, give up, confirm.

A client may write only to the staged key, and only what its URLs sign. Nothing is remembered between calls: the upload
id carries the promise, the store carries the state.

The staged copy, or the tombstone in its place, stays until the bucket's lifecycle rule removes it, so that a URL used
again meets ``If-None-Match: *`` for as long as it lives.
"""

import asyncio
import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from broker.core.layout import Layout
from broker.core.model import FileSpec, Part, PresignedRequest, Principal, Upload, UploadStatus
from broker.core.parts import PartPlan
from broker.core.tombstone import is_tombstone
from broker.core.upload_rules import Accepted, Declaration, UploadPolicy, accept
from broker.crypto.object_signer import ObjectSigner
from broker.crypto.upload_ids import UploadIds
from broker.error_texts import Detail
from broker.errors import BrokerError, NotFoundError, UploadConfirmedError
from broker.store.port import ObjectStore

from .batches import for_each
from .confirmation import Confirmation, Confirmer
from .deletion import Deletion
from .exclusive import Exclusive
from .multipart import Multiparts, PresignedParts
from .single_flight import SingleFlight


class CreatedUpload(Struct, frozen=True):
    """An upload that a client may now send: by ``request``, or in parts, each of which it has yet to ask for."""

    upload_id: str
    upload: Upload
    request: PresignedRequest | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is: bytes and parts that are stored, and its key once it is ready."""

    status: UploadStatus
    upload: Upload
    uploaded_bytes: int
    key: str | None = None
    parts: Sequence[Part] = ()


class Uploads:
    """The use cases of one deployment's uploads."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        layout: Layout,
        multiparts: Multiparts,
        deletion: Deletion,
        confirmer: Confirmer,
        signer: ObjectSigner,
        upload_ids: UploadIds,
        policy: UploadPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._layout = layout
        self._multiparts = multiparts
        self._deletion = deletion
        self._confirmer = confirmer
        self._signer = signer
        self._upload_ids = upload_ids
        self._policy = policy
        self._clock = clock
        self._confirms: SingleFlight[Confirmation] = SingleFlight()
        self._exclusive = Exclusive()

    def accept(self, declared: Sequence[Declaration], *, batch: bool) -> list[Accepted]:
        """The declared files in canonical form; raises the refusal of the first broken rule with all broken fields."""
        return accept(declared, self._policy, batch=batch)

    async def create(
        self, principal: Principal, accepted: Sequence[Accepted], *, idempotency_key: str | None
    ) -> list[CreatedUpload]:
        """Sign one PUT for each accepted file; needs no network, unless a file comes in parts.

        Raises ``StorageUnavailableError`` when the store cannot begin an upload in parts, and ``UploadDeletedError``
        when such an upload of the same idempotency key was deleted.
        """
        now = int(self._clock())
        owner, expires_at = principal.subject, now + self._policy.lifetime
        uploads = [
            Upload(self._new_id(owner, idempotency_key, index, each.file, now), owner, each.file, expires_at)
            for index, each in enumerate(accepted)
        ]
        if any(each.parts for each in accepted):
            uploads = await self._begun(uploads, accepted, again=idempotency_key is not None)
        return [self._created(upload, now) for upload in uploads]

    def parts(self, principal: Principal, upload_id: str, numbers: Sequence[int]) -> PresignedParts:
        """Sign a PUT for each of these parts. Raises ``NotFoundError``, and what ``Multiparts.sign`` raises."""
        return self._multiparts.sign(self._own(principal, upload_id), numbers)

    async def progress(self, principal: Principal, upload_id: str) -> Progress:
        """How far the upload is; raises ``NotFoundError`` for an unknown or foreign upload_id."""
        upload = self._own(principal, upload_id)
        staged, ready, parts = await asyncio.gather(
            self._store.head(self._layout.staged(upload)),
            self._store.head(self._layout.ready(upload)),
            self._stored_parts(upload),
        )
        if is_tombstone(staged):
            return Progress(UploadStatus.DELETED, upload, 0)
        if ready:
            return Progress(UploadStatus.READY, upload, upload.file.size, self._layout.ready(upload).key)
        if upload.is_expired(self._clock()):
            return Progress(UploadStatus.EXPIRED, upload, 0)
        if staged:
            return Progress(UploadStatus.UPLOADED, upload, staged.size)
        if parts is None:  # removed by the bucket's lifecycle rule
            return Progress(UploadStatus.EXPIRED, upload, 0)
        status = UploadStatus.UPLOADING if parts else UploadStatus.PENDING
        return Progress(status, upload, sum(part.size for part in parts), parts=parts)

    async def abort(self, principal: Principal, upload_id: str) -> None:
        """Delete an upload that is not confirmed, for good; any number of times.

        Raises ``NotFoundError``, ``UploadConfirmedError`` or ``StorageUnavailableError``.
        """
        upload = self._own(principal, upload_id)
        source, target = self._layout.staged(upload), self._layout.ready(upload)
        async with self._exclusive.turn(upload.uuid):
            staged, ready = await asyncio.gather(self._store.head(source), self._store.head(target))
            if ready and not is_tombstone(staged):
                raise UploadConfirmedError
            await self._deletion.delete(source, target)

    async def confirm(self, principal: Principal, upload_id: str) -> Confirmation:
        """The track-ready answer, however often and by however many it is asked for.

        ``Promoting`` when the object is so large that this takes longer: then it is to be confirmed again. Raises
        ``NotFoundError``, ``UploadDeletedError``, ``UploadExpiredError``, ``NotUploadedError``, ``PartsMissingError``,
        one of the mismatches, or ``StorageUnavailableError``; after each of them nothing that was sent is lost.
        """
        upload = self._own(principal, upload_id)
        return await self._confirms.join(self._run_of(upload), lambda: self._confirm(upload))

    async def confirm_many(self, principal: Principal, upload_ids: Sequence[str]) -> list[Confirmation | BrokerError]:
        """Each upload_id's answer or refusal, in order."""
        return await for_each(upload_ids, lambda upload_id: self._outcome(principal, upload_id))

    async def _outcome(self, principal: Principal, upload_id: str) -> Confirmation | BrokerError:
        try:
            return await self.confirm(principal, upload_id)
        except BrokerError as error:
            return error

    async def _begun(self, uploads: Sequence[Upload], accepted: Sequence[Accepted], *, again: bool) -> list[Upload]:
        async def begun(pair: tuple[Upload, PartPlan | None]) -> Upload:
            upload, parts = pair
            return await self._multiparts.begin(upload, parts, again=again) if parts else upload

        return await for_each(zip(uploads, (each.parts for each in accepted), strict=True), begun)

    def _run_of(self, upload: Upload) -> str:
        """The name of the confirm that all upload ids with the same meaning share.

        Ids of one upload may differ in their expiry: a create that was retried makes another.
        """
        store_id = upload.multipart.s3_upload_id if upload.multipart else ""
        return f"{upload.uuid} {store_id} {upload.is_expired(self._clock())}"

    async def _confirm(self, upload: Upload) -> Confirmation:
        async with self._exclusive.turn(upload.uuid):
            return await self._confirmer.confirm(upload)

    async def _stored_parts(self, upload: Upload) -> Sequence[Part] | None:
        return await self._multiparts.stored(upload) if upload.multipart else ()

    def _own(self, principal: Principal, upload_id: str) -> Upload:
        upload = self._upload_ids.open(upload_id)
        if upload is None or not principal.may_act_for(upload.owner):
            raise NotFoundError(Detail.UPLOAD_NOT_FOUND)
        return upload

    def _new_id(self, owner: str, idempotency_key: str | None, index: int, file: FileSpec, now: int) -> str:
        if idempotency_key:
            return self._upload_ids.derived_id(owner, idempotency_key, index, file, now=now)
        return _random_uuid()

    def _created(self, upload: Upload, now: int) -> CreatedUpload:
        upload_id = self._upload_ids.seal(upload)
        if upload.multipart:
            return CreatedUpload(upload_id, upload, None)
        headers, lifetime = upload_headers(upload.file), self._policy.url_lifetime
        url = self._signer.presign(
            self._layout.staged(upload).key,
            now=now,
            expires_in=lifetime,
            headers={"Content-Length": str(upload.file.size), **headers},
        )
        return CreatedUpload(upload_id, upload, PresignedRequest("PUT", url, headers, now + lifetime))


_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def _random_uuid() -> str:
    """A UUID of version 4 (RFC 9562, section 5.4) as ``uuid`` makes it, in a quarter of the time."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"


def upload_headers(file: FileSpec) -> dict[str, str]:
    """The headers a client must send with its PUT, sorted by name; Content-Length is its HTTP client's to set."""
    headers = {"Content-Type": file.content_type, "If-None-Match": "*"}
    if file.md5:
        headers = {"Content-MD5": base64.b64encode(file.md5).decode(), **headers}
    if file.sha256:
        headers["x-amz-checksum-sha256"] = base64.b64encode(file.sha256).decode()
    return headers
