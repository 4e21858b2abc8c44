"""Uploads for clients with a protocol of their own: Uppy and better-upload's client.

Rules of this module
- They name an upload by an upload id and a key. Both must be of the same upload of the caller: any other pair, an
  expired upload and an expired session give the same error.
- The key is that of the ready object from the start. So the key that an application gets is the track-ready key.
- Uppy 4 and 5 delete an upload after an error of its completion, and send the file again from the first byte. So the
  completion waits for what may still pass, and a deletion leaves an upload whose bytes are all stored as it is.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from broker.core.limits import PARTS_MAX
from broker.core.model import Part, Principal, Upload, UploadStatus
from broker.core.parts import UNSIZED, PartPlan, complete, stock_plan
from broker.core.upload_rules import Accepted, Declaration
from broker.crypto.capabilities import Capabilities, Capability
from broker.error_texts import Detail, Rule
from broker.errors import (
    Fault,
    InvalidRequestError,
    NotFoundError,
    PartsMissingError,
    SizeMismatchError,
    StorageUnavailableError,
    UploadConfirmedError,
    UploadDeletedError,
    UploadExpiredError,
    about,
)

from .confirmation import Confirmation, ConfirmedUpload
from .multipart import PresignedParts, plan_of
from .observer import report_refusal
from .uploads import CreatedUpload, Progress, Uploads

PATIENCE: Final = 25.0
"""Seconds that a completion waits for the store. Heroku and API gateways end requests after 30, nginx after 60."""

PAUSE: Final = 0.5
"""Seconds between the first two attempts of a completion; each further pause is twice as long."""

LONGEST_PAUSE: Final = 4.0
"""Seconds that a pause between two attempts takes at most."""

STORED_ETAG: Final = "stored"
"""The ETag of each part of an upload whose parts were joined: the store no longer lists them."""


class WantedFile(Struct, frozen=True, kw_only=True):
    """A file as these clients declare it; its type, and its size in bytes, may be missing.

    ``part_size`` is the size of the parts that the client makes, if it is not that of ``stock_plan``.
    """

    filename: str
    content_type: str
    size: int | None
    sha256: str | None = None
    md5: str | None = None
    part_size: int | None = None
    in_parts: bool = True
    size_rule: str = Rule.REQUIRED


@dataclass(frozen=True, slots=True)
class Companion:
    """The use cases of these clients over ``uploads``. ``clock`` returns the seconds since the Unix epoch."""

    uploads: Uploads
    capabilities: Capabilities
    session_lifetime: int
    clock: Callable[[], float]

    def open_session(self, principal: Principal) -> tuple[str, int]:
        """Return a new session, which permits uploads of the principal, and the instant at which it expires."""
        expires_at = int(self.clock()) + self.session_lifetime
        return self.capabilities.seal(Capability(principal.subject, expires_at)), expires_at

    def capability_of(self, upload: Upload) -> str:
        """Return the capability to end one upload, which is valid as long as the upload."""
        return self.capabilities.seal(Capability(upload.owner, upload.expires_at, upload.uuid))

    def principal_of(self, capability: str, upload_id: str | None) -> Principal:
        """Return the user whom a capability stands for in a request about an upload, or about none.

        Raises ``NotFoundError`` for a capability that is not valid, or is that of another upload.
        """
        found = self.capabilities.open(capability, now=self.clock())
        if found is None:
            _refuse()
        if found.uuid:
            upload = self.uploads.upload_ids.open(upload_id or "")
            if upload is None or upload.uuid != found.uuid:
                _refuse()
        return Principal(found.subject)

    def accept(self, wanted: WantedFile) -> Accepted:
        """Return the file in canonical form; raise an error that names its invalid fields."""
        policy, size = self.uploads.policy, wanted.size
        if size is None and not policy.allows_unsized:
            raise about(InvalidRequestError, Fault("/size", wanted.size_rule))
        declared = Declaration(
            wanted.filename,
            wanted.content_type,
            1 if size is None else size,
            wanted.sha256,
            wanted.md5,
            multipart=wanted.in_parts,
        )
        (accepted,) = self.uploads.accept([declared], batch=False)
        file = replace(accepted.file, size=UNSIZED) if size is None else accepted.file
        if not wanted.in_parts:
            return Accepted(file, None)
        try:
            return Accepted(file, stock_plan(file.size, wanted.part_size))
        except ValueError as error:
            raise about(InvalidRequestError, Fault("/partSize", str(error))) from None

    async def create(self, principal: Principal, accepted: Sequence[Accepted]) -> list[CreatedUpload]:
        """Create an upload for each file; raise ``StorageUnavailableError`` if one in parts cannot be created."""
        return await self.uploads.create(principal, accepted, idempotency_key=None)

    def key_of(self, upload: Upload) -> str:
        """Return the key by which these clients name an upload."""
        return self.uploads.layout.ready(upload).key

    def location_of(self, key: str) -> str:
        """Return the public URL of a ready object, or its URL at the store, which needs a signature."""
        layout = self.uploads.layout
        return layout.url(key) or f"{layout.endpoint}/{layout.bucket}/{key}"

    def find(self, principal: Principal, upload_id: str) -> Upload:
        """Return the upload of an upload id; raise ``NotFoundError`` for an unknown one, or another owner's."""
        upload = self.uploads.upload_ids.open(upload_id)
        if upload is None or not principal.may_act_for(upload.owner):
            _refuse()
        return upload

    def open(self, principal: Principal, upload_id: str, key: str) -> Upload:
        """Return the upload of an upload id and its key; raise ``NotFoundError`` for any other pair."""
        upload = self.find(principal, upload_id)
        if key != self.key_of(upload):
            _refuse()
        return upload

    def presign_parts(self, principal: Principal, upload_id: str, key: str, numbers: Sequence[int]) -> PresignedParts:
        """Presign a PUT for each part number; raise ``NotFoundError`` or ``InvalidRequestError``."""
        self.open(principal, upload_id, key)
        try:
            return self.uploads.presign_parts(principal, upload_id, numbers)
        except UploadExpiredError:
            _refuse()

    async def list_parts(self, principal: Principal, upload_id: str, key: str) -> list[Part]:
        """Return the stored parts, which need not be sent: all of them once the parts were joined.

        Raises ``NotFoundError``, ``UploadDeletedError``, ``InvalidRequestError`` or ``StorageUnavailableError``.
        """
        upload = self.open(principal, upload_id, key)
        plan, _ = plan_of(upload)
        state = await self.uploads.progress(principal, upload_id)
        if state.status is UploadStatus.EXPIRED:
            _refuse()
        if state.status is UploadStatus.DELETED:
            error = UploadDeletedError()
            report_refusal(self.uploads.observer, error)
            raise error
        if state.status in (UploadStatus.UPLOADED, UploadStatus.READY):
            size = state.uploaded_bytes
            plan = PartPlan(size, max(plan.part_size, -(-size // PARTS_MAX)))  # an unsized file may have larger parts
            return [Part(number, plan.size_of(number), STORED_ETAG) for number in plan.numbers()]
        return list(state.parts)

    async def complete(self, principal: Principal, upload_id: str, key: str, *, until: float) -> Confirmation | None:
        """Confirm the upload, and repeat that while the store fails or copies, until the event loop's time ``until``.

        Then the result is the progress of the promotion, or ``None`` if the store does not respond: the upload can
        still be confirmed. Raises ``NotFoundError`` and the errors of ``Uploads.confirm`` that a repetition cannot
        change.
        """
        self.open(principal, upload_id, key)
        latest: Confirmation | None = None
        pause = PAUSE
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while not isinstance(latest, ConfirmedUpload):
                    try:
                        latest = await self.uploads.confirm(principal, upload_id)
                    except StorageUnavailableError:
                        await asyncio.sleep(pause)
                        pause = min(2 * pause, LONGEST_PAUSE)
                    except UploadExpiredError:
                        _refuse()
        return latest

    async def abort(self, principal: Principal, upload_id: str, key: str) -> None:
        """Delete an upload, unless all its bytes are stored: then it can be confirmed, and is left as it is.

        Raises ``NotFoundError`` or ``StorageUnavailableError``.
        """
        self.open(principal, upload_id, key)
        state = await self.uploads.progress(principal, upload_id)
        if state.status is UploadStatus.EXPIRED:
            _refuse()
        if not _is_whole(state):
            with suppress(UploadConfirmedError):
                await self.uploads.abort(principal, upload_id)


def _is_whole(state: Progress) -> bool:
    """Return whether the store has all bytes of an upload."""
    if state.upload.multipart is None or state.status not in (UploadStatus.PENDING, UploadStatus.UPLOADING):
        return state.status in (UploadStatus.UPLOADED, UploadStatus.READY)
    try:
        return bool(complete(plan_of(state.upload)[0], state.parts))
    except (PartsMissingError, SizeMismatchError):
        return False


def _refuse() -> NoReturn:
    raise NotFoundError(Detail.SESSION_OR_UPLOAD_NOT_FOUND)
