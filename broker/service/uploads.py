"""Uploads: create, report the progress, abort, confirm.

A client can write only to the staged key, and only what its URLs sign. The broker keeps no state between requests: the
upload id carries the declaration, the store carries the state.

The staged object, or the tombstone in its place, stays until the bucket's lifecycle rule removes it, so that a second
use of a URL fails on ``If-None-Match: *`` for as long as the URL is valid.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from broker.core.layout import Layout
from broker.core.model import FileSpec, Part, PresignedRequest, Principal, Upload, UploadStatus
from broker.core.parts import UNSIZED, PartPlan
from broker.core.tombstone import is_tombstone
from broker.core.upload_rules import Accepted, Declaration, UploadPolicy, accept
from broker.crypto.presigner import Presigner
from broker.crypto.random_uuids import RandomUuids
from broker.crypto.upload_ids import UploadIds
from broker.error_texts import Detail
from broker.errors import BrokerError, NotFoundError, UploadConfirmedError
from broker.store.port import ObjectStore

from .batches import for_each
from .confirmation import Confirmation, Confirmer
from .deletion import Deletion
from .exclusive import Exclusive
from .multipart import Multiparts, PresignedParts
from .observer import Observer, report_refusal
from .single_flight import SingleFlight


class CreatedUpload(Struct, frozen=True):
    """A new upload. ``request`` is its PUT, and ``None`` for an upload in parts, which have requests of their own."""

    upload_id: str
    upload: Upload
    request: PresignedRequest | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an upload: its status, its stored bytes and parts, and its key once it is ready."""

    status: UploadStatus
    upload: Upload
    uploaded_bytes: int
    key: str | None = None
    parts: Sequence[Part] = ()


@dataclass(frozen=True, slots=True)
class Uploads:
    """The use cases of one deployment's uploads.

    ``clock`` returns the seconds since the Unix epoch, ``new_uuid`` the UUID of an upload without an idempotency key.
    """

    store: ObjectStore
    layout: Layout
    multiparts: Multiparts
    deletion: Deletion
    confirmer: Confirmer
    presigner: Presigner
    upload_ids: UploadIds
    policy: UploadPolicy
    clock: Callable[[], float]
    new_uuid: Callable[[], str] = field(default_factory=lambda: RandomUuids().next)
    observer: Observer | None = None
    _confirms: SingleFlight[Confirmation] = field(default_factory=SingleFlight, init=False)
    _exclusive: Exclusive = field(default_factory=Exclusive, init=False)

    def accept(self, declared: Sequence[Declaration], *, batch: bool) -> list[Accepted]:
        """Return the declared files in canonical form; raise an error that names all invalid fields."""
        try:
            return accept(declared, self.policy, batch=batch)
        except BrokerError as error:
            report_refusal(self.observer, error)
            raise

    async def create(
        self, principal: Principal, accepted: Sequence[Accepted], *, idempotency_key: str | None
    ) -> list[CreatedUpload]:
        """Create an upload for each accepted file, with a presigned PUT or in parts; only parts need the store.

        Raises ``StorageUnavailableError`` when the store cannot create an upload in parts, and ``UploadDeletedError``
        when such an upload with the same idempotency key was deleted.
        """
        now = int(self.clock())
        owner, expires_at = principal.subject, now + self.policy.lifetime
        uploads, has_parts = [], False
        for index, each in enumerate(accepted):
            uuid = self._new_uuid(owner, idempotency_key, index, each.file, now)
            uploads.append(Upload(uuid, owner, each.file, expires_at))
            has_parts = has_parts or each.parts is not None
        if has_parts:
            uploads = await self._create_parts(uploads, accepted, is_retry=idempotency_key is not None)
        created = [self._created(upload, now) for upload in uploads]
        if self.observer:
            self.observer.created(uploads)
        return created

    def presign_parts(self, principal: Principal, upload_id: str, numbers: Sequence[int]) -> PresignedParts:
        """Presign a PUT for each part number; raise ``NotFoundError``, and the errors of ``Multiparts.presign``."""
        return self.multiparts.presign(self._open(principal, upload_id), numbers)

    async def progress(self, principal: Principal, upload_id: str) -> Progress:
        """Return the progress of the upload; raise ``NotFoundError`` for an unknown upload id or another owner's."""
        upload = self._open(principal, upload_id)
        staged, ready, parts = await asyncio.gather(
            self.store.head(self.layout.staged(upload)),
            self.store.head(self.layout.ready(upload)),
            self._stored_parts(upload),
        )
        if is_tombstone(staged):
            return Progress(UploadStatus.DELETED, upload, 0)
        if ready:
            return Progress(UploadStatus.READY, upload, ready.size, self.layout.ready(upload).key)
        if upload.is_expired(self.clock()):
            return self._expired(upload)
        if staged:
            return Progress(UploadStatus.UPLOADED, upload, staged.size)
        if parts is None:  # removed by the bucket's lifecycle rule
            return self._expired(upload)
        status = UploadStatus.UPLOADING if parts else UploadStatus.PENDING
        return Progress(status, upload, sum(part.size for part in parts), parts=parts)

    async def abort(self, principal: Principal, upload_id: str) -> None:
        """Delete an unconfirmed upload finally. It can be repeated.

        Raises ``NotFoundError``, ``UploadConfirmedError`` or ``StorageUnavailableError``.
        """
        upload = self._open(principal, upload_id)
        source, target = self.layout.staged(upload), self.layout.ready(upload)
        async with self._exclusive.lock(upload.uuid):
            staged, ready = await asyncio.gather(self.store.head(source), self.store.head(target))
            if ready and not is_tombstone(staged):
                raise UploadConfirmedError
            await self.deletion.delete(source, target)
            if self.observer and not is_tombstone(staged):
                self.observer.deleted(1)

    async def confirm(self, principal: Principal, upload_id: str) -> Confirmation:
        """Confirm the upload. Repeated and concurrent confirms return the same result.

        The result is ``Promoting`` when the object is so large that the upload must be confirmed again. Raises
        ``NotFoundError``, ``UploadDeletedError``, ``UploadExpiredError``, ``NotUploadedError``, ``PartsMissingError``,
        one of the mismatch errors, or ``StorageUnavailableError``; all of them keep the bytes that were sent.
        """
        upload = self._open(principal, upload_id)
        try:
            return await self._confirms.join(self._confirm_key(upload), lambda: self._confirm(upload))
        except BrokerError as error:
            report_refusal(self.observer, error)
            raise

    async def confirm_many(self, principal: Principal, upload_ids: Sequence[str]) -> list[Confirmation | BrokerError]:
        """Return the result or the error of each upload id, in order."""
        return await for_each(upload_ids, lambda upload_id: self._confirm_one(principal, upload_id))

    async def _confirm_one(self, principal: Principal, upload_id: str) -> Confirmation | BrokerError:
        try:
            return await self.confirm(principal, upload_id)
        except BrokerError as error:
            return error

    async def _create_parts(
        self, uploads: Sequence[Upload], accepted: Sequence[Accepted], *, is_retry: bool
    ) -> list[Upload]:
        async def create(pair: tuple[Upload, PartPlan | None]) -> Upload:
            upload, parts = pair
            return await self.multiparts.create(upload, parts, is_retry=is_retry) if parts else upload

        try:
            return await for_each(zip(uploads, (each.parts for each in accepted), strict=True), create)
        except BrokerError as error:
            report_refusal(self.observer, error)
            raise

    def _confirm_key(self, upload: Upload) -> str:
        """Return the key of the confirm that all upload ids with the same meaning share.

        Ids of one upload can differ in their expiry: a retried create returns a new one.
        """
        s3_upload_id = upload.multipart.s3_upload_id if upload.multipart else ""
        return f"{upload.uuid} {s3_upload_id} {upload.is_expired(self.clock())}"

    async def _confirm(self, upload: Upload) -> Confirmation:
        async with self._exclusive.lock(upload.uuid):
            return await self.confirmer.confirm(upload)

    def _expired(self, upload: Upload) -> Progress:
        if self.observer:
            self.observer.expired()
        return Progress(UploadStatus.EXPIRED, upload, 0)

    async def _stored_parts(self, upload: Upload) -> Sequence[Part] | None:
        return await self.multiparts.list_parts(upload) if upload.multipart else ()

    def _open(self, principal: Principal, upload_id: str) -> Upload:
        upload = self.upload_ids.open(upload_id)
        if upload is None or not principal.may_act_for(upload.owner):
            raise NotFoundError(Detail.UPLOAD_NOT_FOUND)
        return upload

    def _new_uuid(self, owner: str, idempotency_key: str | None, index: int, file: FileSpec, now: int) -> str:
        if idempotency_key:
            return self.upload_ids.derived_uuid(owner, idempotency_key, index, file, now=now)
        return self.new_uuid()

    def _created(self, upload: Upload, now: int) -> CreatedUpload:
        upload_id = self.upload_ids.seal(upload)
        if upload.multipart:
            return CreatedUpload(upload_id, upload, None)
        headers, lifetime = upload_headers(upload.file), self.policy.url_lifetime
        length = {} if upload.file.size == UNSIZED else {"Content-Length": str(upload.file.size)}
        url = self.presigner.presign(
            "PUT", self.layout.staged(upload), now=now, expires_in=lifetime, headers={**length, **headers}
        )
        return CreatedUpload(upload_id, upload, PresignedRequest("PUT", url, headers, now + lifetime))


def upload_headers(file: FileSpec) -> dict[str, str]:
    """Return the headers that a client sends with its PUT, sorted by name, except the Content-Length."""
    headers = {"Content-Type": file.media_type.name, "If-None-Match": "*"}
    if file.md5:
        headers = {"Content-MD5": base64.b64encode(file.md5).decode(), **headers}
    if file.sha256:
        headers["x-amz-checksum-sha256"] = base64.b64encode(file.sha256).decode()
    return headers
