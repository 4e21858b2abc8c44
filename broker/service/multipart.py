"""Uploads in parts: created at the store, one presigned URL for each part, completed from the store's own list.

A client never handles an ETag: the broker reads them by ListParts. Missing and wrong parts are named, and can be sent
again until the upload is completed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from broker.core.layout import Layout
from broker.core.model import Multipart, Part, Upload
from broker.core.parts import UNSIZED, PartPlan, complete, current, listed, stock_plan, stored_plan
from broker.core.tombstone import is_tombstone
from broker.core.upload_rules import UploadPolicy
from broker.crypto.presigner import Presigner
from broker.error_texts import Detail
from broker.errors import InvalidRequestError, UploadDeletedError, UploadExpiredError
from broker.store.port import ObjectStore

from .single_flight import SingleFlight

MAX_CONCURRENCY: Final = 4
"""Parts that a client should have in flight at once. R2 returns 5xx to some of more parts of one upload."""


class PresignedPart(Struct, frozen=True):
    """The PUT of one part, of exactly ``size`` bytes."""

    number: int
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class PresignedParts:
    """Parts that can be sent until ``expires_at``."""

    parts: list[PresignedPart]
    expires_at: int


@dataclass(frozen=True, slots=True)
class Multiparts:
    """The parts of one deployment's uploads. ``clock`` returns the seconds since the Unix epoch."""

    store: ObjectStore
    layout: Layout
    presigner: Presigner
    policy: UploadPolicy
    clock: Callable[[], float]
    _creates: SingleFlight[str] = field(default_factory=SingleFlight, init=False)

    async def create(self, upload: Upload, plan: PartPlan, *, is_retry: bool) -> Upload:
        """Return ``upload`` with its S3 UploadId; a retry reuses the multipart upload of the first attempt.

        Raises ``UploadDeletedError`` when the upload of the first attempt was deleted.
        """
        if is_retry:
            s3_upload_id = await self._creates.join(upload.uuid, lambda: self._find_or_create(upload))
        else:
            s3_upload_id = await self._create(upload)
        return replace(upload, multipart=Multipart(s3_upload_id, plan.part_size))

    def presign(self, upload: Upload, numbers: Sequence[int]) -> PresignedParts:
        """Presign a PUT for each part number; it needs no network.

        Raises ``UploadExpiredError``, or ``InvalidRequestError`` naming the numbers that the upload does not have.
        """
        plan, s3_upload_id = self._plan_of(upload)
        valid = plan.numbers()
        unknown = sorted({number for number in numbers if number not in valid})
        if unknown:
            raise InvalidRequestError(Detail.PART_NUMBERS.format(count=plan.count, unknown=listed(unknown)))
        now = int(self.clock())
        if upload.is_expired(now):
            raise UploadExpiredError(Detail.UPLOAD_EXPIRED)
        lifetime = min(self.policy.url_lifetime, upload.expires_at - now)
        ref = self.layout.staged(upload)

        presigned: dict[int, PresignedPart] = {}
        for size, same_size in groupby(sorted(set(numbers)), plan.size_of):
            group = list(same_size)
            urls = self.presigner.presign_each(
                "PUT",
                ref,
                "partNumber",
                map(str, group),
                now=now,
                expires_in=lifetime,
                headers={} if upload.file.size == UNSIZED else {"content-length": str(size)},
                query={"uploadId": s3_upload_id},
            )
            presigned |= {number: PresignedPart(number, size, url) for number, url in zip(group, urls, strict=True)}
        return PresignedParts([presigned[number] for number in numbers], now + lifetime)

    async def list_parts(self, upload: Upload) -> list[Part] | None:
        """Return the stored parts; ``None`` when the upload was completed or aborted."""
        plan, s3_upload_id = self._plan_of(upload)
        found = await self.store.list_parts(self.layout.staged(upload), s3_upload_id)
        await asyncio.sleep(0)  # each pass over 10 000 parts takes milliseconds: other requests run in between
        return None if found is None else current(plan, found)

    async def complete(self, upload: Upload) -> None:
        """Make the staged object from the parts, unless it was completed before, or the parts were removed.

        Raises ``PartsMissingError`` or ``SizeMismatchError`` naming the parts, or ``TooLargeError`` for a file whose
        size was not declared; then the upload is unchanged.
        """
        plan, s3_upload_id = plan_of(upload)
        stored = await self.list_parts(upload)
        if stored is None:
            return
        if upload.file.size == UNSIZED:
            plan = stored_plan(stored)
            self.policy.check_size(plan.size)
        staged, parts = self.layout.staged(upload), complete(plan, stored)
        await asyncio.sleep(0)
        if not await self.store.complete_multipart(staged, s3_upload_id, parts):
            await self.store.abort_multipart(staged, s3_upload_id)  # the staged object exists: these parts are surplus

    def _plan_of(self, upload: Upload) -> tuple[PartPlan, str]:
        """Return the plan of an upload; for an unsized file, that of the largest file."""
        plan, s3_upload_id = plan_of(upload)
        return (stock_plan(self.policy.max_bytes) if upload.file.size == UNSIZED else plan), s3_upload_id

    async def _create(self, upload: Upload) -> str:
        headers = {"content-type": upload.file.media_type.name}
        return await self.store.create_multipart(self.layout.staged(upload), headers=headers)

    async def _find_or_create(self, upload: Upload) -> str:
        ref = self.layout.staged(upload)
        open_uploads, staged = await asyncio.gather(
            self.store.open_multiparts(ref.bucket, ref.key), self.store.head(ref)
        )
        if is_tombstone(staged):
            raise UploadDeletedError
        found = [each.s3_upload_id for each in open_uploads if each.key == ref.key]
        return found[0] if found else await self._create(upload)


def plan_of(upload: Upload) -> tuple[PartPlan, str]:
    """Return the part plan and the S3 UploadId of an upload; raise ``InvalidRequestError`` if it is a single PUT."""
    if upload.multipart is None:
        raise InvalidRequestError(Detail.NOT_MULTIPART)
    return PartPlan(upload.file.size, upload.multipart.part_size), upload.multipart.s3_upload_id
