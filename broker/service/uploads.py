"""Uploads: promise, check, promote.

A client may write only to the staged key, and only what its URL signs. Confirm looks at what is there, compares it
with the promise, copies exactly that version to the ready key, and gives the track-ready answer. Nothing is
remembered between calls: the ticket carries the promise, the store carries the state.

The staged copy stays until the bucket's lifecycle rule removes it, so that a URL used again meets
``If-None-Match: *`` for as long as it lives.
"""

import asyncio
import base64
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from broker.core.layout import Layout
from broker.core.media import SNIFF_BYTES, canonical
from broker.core.model import (
    FileSpec,
    PresignedRequest,
    Principal,
    StoredObject,
    TrackReady,
    Upload,
    UploadStatus,
)
from broker.core.policy import Declaration, UploadPolicy, accept
from broker.core.receipts import Receipts
from broker.core.sigv4 import Presigner
from broker.core.tickets import Tickets
from broker.errors import (
    BrokerError,
    ChecksumMismatchError,
    ContentMismatchError,
    NotFoundError,
    NotUploadedError,
    SizeMismatchError,
    StorageUnavailableError,
    TypeMismatchError,
    UploadExpiredError,
)
from broker.store.port import ObjectStore

from .single_flight import SingleFlight


@dataclass(frozen=True, slots=True)
class CreatedUpload:
    """An upload that a client may now send."""

    ticket: str
    size: int
    request: PresignedRequest


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is, in bytes, and its key once it is ready."""

    status: UploadStatus
    size: int
    uploaded_bytes: int
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ConfirmedUpload:
    """A track-ready upload with its public URL, if the bucket has one, and its receipt."""

    track: TrackReady
    url: str | None
    receipt: str


class Uploads:
    """The use cases of one deployment's uploads."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        layout: Layout,
        presigner: Presigner,
        tickets: Tickets,
        receipts: Receipts,
        policy: UploadPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._layout = layout
        self._presigner = presigner
        self._tickets = tickets
        self._receipts = receipts
        self._policy = policy
        self._clock = clock
        self._confirms: SingleFlight[ConfirmedUpload] = SingleFlight()

    def create(
        self,
        principal: Principal,
        declared: Sequence[Declaration],
        *,
        batch: bool,
        idempotency_key: str | None,
    ) -> list[CreatedUpload]:
        """Sign one PUT for each declared file; needs no network.

        Raises the refusal of the first broken rule with all broken fields; then nothing is signed.
        """
        files = accept(declared, self._policy, batch=batch)
        now = int(self._clock())
        owner, expires_at = principal.subject, now + self._policy.lifetime
        ids = [self._new_id(owner, idempotency_key, index, file) for index, file in enumerate(files)]
        return [self._created(Upload(id_, owner, file, expires_at), now) for id_, file in zip(ids, files, strict=True)]

    async def progress(self, principal: Principal, ticket: str) -> Progress:
        """How far the upload is; raises ``NotFoundError`` for an unknown or foreign ticket."""
        upload = self._own(principal, ticket)
        size = upload.file.size
        staged, ready = await asyncio.gather(
            self._store.head(self._layout.staged(upload)), self._store.head(self._layout.ready(upload))
        )
        if ready:
            return Progress(UploadStatus.READY, size, size, self._layout.ready(upload).key)
        if self._is_expired(upload):
            return Progress(UploadStatus.EXPIRED, size, 0)
        if staged:
            return Progress(UploadStatus.UPLOADED, size, staged.size)
        return Progress(UploadStatus.PENDING, size, 0)

    async def abort(self, principal: Principal, ticket: str) -> None:
        """Remove what was staged; a ready object stays. Raises ``NotFoundError``."""
        await self._store.delete(self._layout.staged(self._own(principal, ticket)))

    async def confirm(self, principal: Principal, ticket: str) -> ConfirmedUpload:
        """The track-ready answer, however often and by however many it is asked for.

        Raises ``NotFoundError``, ``UploadExpiredError``, ``NotUploadedError``, one of the mismatches, or
        ``StorageUnavailableError``; after each of them nothing was changed.
        """
        upload = self._own(principal, ticket)
        return await self._confirms.join(ticket, lambda: self._confirm(upload))

    async def confirm_many(self, principal: Principal, tickets: Sequence[str]) -> list[ConfirmedUpload | BrokerError]:
        """Each ticket's answer or refusal, in order."""
        return await asyncio.gather(*(self._outcome(principal, ticket) for ticket in tickets))

    async def _outcome(self, principal: Principal, ticket: str) -> ConfirmedUpload | BrokerError:
        try:
            return await self.confirm(principal, ticket)
        except BrokerError as error:
            return error

    async def _confirm(self, upload: Upload) -> ConfirmedUpload:
        source, target = self._layout.staged(upload), self._layout.ready(upload)
        ready, staged, beginning = await asyncio.gather(
            self._store.head(target), self._store.head(source), self._store.first_bytes(source, SNIFF_BYTES)
        )
        if ready:
            return self._confirmed(upload, ready.etag, ready.last_modified)
        if self._is_expired(upload):
            raise UploadExpiredError("The upload was not confirmed in time. Start a new one.")
        checked = _check(upload.file, staged, beginning)
        copied = await self._store.copy(source, target, if_match=checked.etag, headers=self._ready_headers(upload))
        if copied:
            return self._confirmed(upload, copied.etag, copied.last_modified)
        return await self._confirmed_by_another(upload)

    async def _confirmed_by_another(self, upload: Upload) -> ConfirmedUpload:
        """The copy's conditions failed: another process was first, or the staged object is gone or changed."""
        ready = await self._store.head(self._layout.ready(upload))
        if ready is None:
            raise StorageUnavailableError("the staged object changed while it was confirmed")
        return self._confirmed(upload, ready.etag, ready.last_modified)

    def _own(self, principal: Principal, ticket: str) -> Upload:
        upload = self._tickets.open(ticket)
        if upload is None or not principal.may_act_for(upload.owner):
            raise NotFoundError("There is no such upload.")
        return upload

    def _is_expired(self, upload: Upload) -> bool:
        return self._clock() >= upload.expires_at

    def _new_id(self, owner: str, idempotency_key: str | None, index: int, file: FileSpec) -> str:
        if idempotency_key:
            return self._tickets.derived_id(owner, idempotency_key, index, file)
        return str(uuid.uuid4())

    def _created(self, upload: Upload, now: int) -> CreatedUpload:
        headers = upload_headers(upload.file)
        url = self._presigner.presign(
            "PUT",
            self._layout.staged(upload),
            now=now,
            expires_in=self._policy.url_lifetime,
            headers={**headers, "content-length": str(upload.file.size)},
        )
        request = PresignedRequest("PUT", url, headers, now + self._policy.url_lifetime)
        return CreatedUpload(self._tickets.seal(upload), upload.file.size, request)

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


def upload_headers(file: FileSpec) -> dict[str, str]:
    """The headers a client must send with its PUT; Content-Length is its HTTP client's to set."""
    headers = {"Content-Type": file.content_type, "If-None-Match": "*"}
    if file.sha256:
        headers["x-amz-checksum-sha256"] = base64.b64encode(file.sha256).decode()
    if file.md5:
        headers["Content-MD5"] = base64.b64encode(file.md5).decode()
    return headers


def _check(file: FileSpec, staged: StoredObject | None, beginning: tuple[str, bytes] | None) -> StoredObject:
    """The staged object, when it is what was promised."""
    if staged is None or beginning is None:
        raise NotUploadedError("Nothing was uploaded yet. Send the bytes to the upload's URL, then confirm.")
    if staged.size != file.size:
        raise SizeMismatchError(f"{file.size} bytes were promised and {staged.size} are stored.")
    if staged.content_type != file.content_type:
        raise TypeMismatchError(f"{file.content_type} was promised and another type is stored.")
    if file.md5 and staged.etag != file.md5.hex():
        raise ChecksumMismatchError("The stored object's MD5 is not the promised one.")
    etag, head = beginning
    if etag != staged.etag:
        raise StorageUnavailableError("the staged object changed between two looks")
    if not canonical(file.content_type).begins(head):
        raise ContentMismatchError(f"The stored bytes do not begin as {file.content_type} does.")
    return staged
