"""Uploads: create, report the progress, abort, confirm.

A client can write only to the staged key, and only what its URLs sign. The broker keeps no state between requests: the
upload id carries the declaration, the store carries the state.

The staged object, or the tombstone in its place, stays until the bucket's lifecycle rule removes it, so that a second
use of a URL fails on ``If-None-Match: *`` for as long as the URL is valid.
"""

import asyncio
import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from broker.core.layout import Layout
from broker.core.model import FileSpec, Part, PresignedRequest, Principal, Upload, UploadStatus
from broker.core.parts import PartPlan
from broker.core.tombstone import is_tombstone
from broker.core.upload_rules import Accepted, Declaration, UploadPolicy, accept
from broker.crypto.presigner import Presigner
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
    """The use cases of one deployment's uploads. ``clock`` returns the seconds since the Unix epoch."""

    store: ObjectStore
    layout: Layout
    multiparts: Multiparts
    deletion: Deletion
    confirmer: Confirmer
    presigner: Presigner
    upload_ids: UploadIds
    policy: UploadPolicy
    clock: Callable[[], float]
    _confirms: SingleFlight[Confirmation] = field(default_factory=SingleFlight, init=False)
    _exclusive: Exclusive = field(default_factory=Exclusive, init=False)

    def accept(self, declared: Sequence[Declaration], *, batch: bool) -> list[Accepted]:
        """Return the declared files in canonical form; raise an error that names all invalid fields."""
        return accept(declared, self.policy, batch=batch)

    async def create(
        self, principal: Principal, accepted: Sequence[Accepted], *, idempotency_key: str | None
    ) -> list[CreatedUpload]:
        """Create an upload for each accepted file, with a presigned PUT or in parts; only parts need the store.

        Raises ``StorageUnavailableError`` when the store cannot create an upload in parts, and ``UploadDeletedError``
        when such an upload with the same idempotency key was deleted.
        """
        now = int(self.clock())
        owner, expires_at = principal.subject, now + self.policy.lifetime
        uploads = [
            Upload(self._new_uuid(owner, idempotency_key, index, each.file, now), owner, each.file, expires_at)
            for index, each in enumerate(accepted)
        ]
        if any(each.parts for each in accepted):
            uploads = await self._create_parts(uploads, accepted, is_retry=idempotency_key is not None)
        return [self._created(upload, now) for upload in uploads]

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
            return Progress(UploadStatus.READY, upload, upload.file.size, self.layout.ready(upload).key)
        if upload.is_expired(self.clock()):
            return Progress(UploadStatus.EXPIRED, upload, 0)
        if staged:
            return Progress(UploadStatus.UPLOADED, upload, staged.size)
        if parts is None:  # removed by the bucket's lifecycle rule
            return Progress(UploadStatus.EXPIRED, upload, 0)
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

    async def confirm(self, principal: Principal, upload_id: str) -> Confirmation:
        """Confirm the upload. Repeated and concurrent confirms return the same result.

        The result is ``Promoting`` when the object is so large that the upload must be confirmed again. Raises
        ``NotFoundError``, ``UploadDeletedError``, ``UploadExpiredError``, ``NotUploadedError``, ``PartsMissingError``,
        one of the mismatch errors, or ``StorageUnavailableError``; all of them keep the bytes that were sent.
        """
        upload = self._open(principal, upload_id)
        return await self._confirms.join(self._confirm_key(upload), lambda: self._confirm(upload))

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

        return await for_each(zip(uploads, (each.parts for each in accepted), strict=True), create)

    def _confirm_key(self, upload: Upload) -> str:
        """Return the key of the confirm that all upload ids with the same meaning share.

        Ids of one upload can differ in their expiry: a retried create returns a new one.
        """
        s3_upload_id = upload.multipart.s3_upload_id if upload.multipart else ""
        return f"{upload.uuid} {s3_upload_id} {upload.is_expired(self.clock())}"

    async def _confirm(self, upload: Upload) -> Confirmation:
        async with self._exclusive.lock(upload.uuid):
            return await self.confirmer.confirm(upload)

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
        return _random_uuid()

    def _created(self, upload: Upload, now: int) -> CreatedUpload:
        upload_id = self.upload_ids.seal(upload)
        if upload.multipart:
            return CreatedUpload(upload_id, upload, None)
        headers, lifetime = upload_headers(upload.file), self.policy.url_lifetime
        url = self.presigner.presign(
            "PUT",
            self.layout.staged(upload),
            now=now,
            expires_in=lifetime,
            headers={"Content-Length": str(upload.file.size), **headers},
        )
        return CreatedUpload(upload_id, upload, PresignedRequest("PUT", url, headers, now + lifetime))


_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The hex digit that carries the variant bits, for each random digit (RFC 9562, section 4.1)."""


def _random_uuid() -> str:
    """Return a random UUID of version 4 (RFC 9562, section 5.4), in a quarter of the time of ``uuid.uuid4``."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"


def upload_headers(file: FileSpec) -> dict[str, str]:
    """Return the headers that a client sends with its PUT, sorted by name, except the Content-Length."""
    headers = {"Content-Type": file.media_type.name, "If-None-Match": "*"}
    if file.md5:
        headers = {"Content-MD5": base64.b64encode(file.md5).decode(), **headers}
    if file.sha256:
        headers["x-amz-checksum-sha256"] = base64.b64encode(file.sha256).decode()
    return headers
