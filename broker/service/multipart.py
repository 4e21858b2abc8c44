"""Uploads in parts: begun at the store, each part's URL signed, joined from what the store itself lists.

A client never handles an ETag: the broker reads them from ListParts. What is missing or wrong is named, and can be
sent again until the parts are joined.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from broker.core.layout import Layout
from broker.core.model import Multipart, Part, Upload
from broker.core.parts import PartPlan, complete, current, listed
from broker.core.tombstone import is_tombstone
from broker.core.upload_rules import UploadPolicy
from broker.crypto.sigv4 import Presigner
from broker.error_texts import Detail
from broker.errors import InvalidRequestError, UploadDeletedError, UploadExpiredError
from broker.store.port import ObjectStore

from .single_flight import SingleFlight

MAX_CONCURRENCY: Final = 3
"""Parts that a client should have in flight at once. R2 answers 5xx to some that send more of one upload."""


class PresignedPart(Struct, frozen=True):
    """A part that may be sent: a PUT of exactly ``size`` bytes."""

    number: int
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class PresignedParts:
    """Parts that may be sent until ``expires_at``."""

    parts: list[PresignedPart]
    expires_at: int


class Multiparts:
    """The parts of one deployment's uploads."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        layout: Layout,
        presigner: Presigner,
        policy: UploadPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._layout = layout
        self._presigner = presigner
        self._policy = policy
        self._clock = clock
        self._begins: SingleFlight[str] = SingleFlight()

    async def begin(self, upload: Upload, plan: PartPlan, *, again: bool) -> Upload:
        """``upload`` with the store's own id of it; ``again``: one that was begun before under its id is taken up.

        Raises ``UploadDeletedError`` when that one was deleted.
        """
        if again:
            s3_upload_id = await self._begins.join(upload.uuid, lambda: self._find_or_create(upload))
        else:
            s3_upload_id = await self._create(upload)
        return replace(upload, multipart=Multipart(s3_upload_id, plan.part_size))

    def sign(self, upload: Upload, numbers: Sequence[int]) -> PresignedParts:
        """A PUT for each part; needs no network.

        Raises ``UploadExpiredError``, or ``InvalidRequestError`` naming the numbers that are none of the upload's.
        """
        plan, s3_upload_id = plan_of(upload)
        every = plan.numbers()
        unknown = sorted({number for number in numbers if number not in every})
        if unknown:
            raise InvalidRequestError(Detail.PART_NUMBERS.format(count=plan.count, unknown=listed(unknown)))
        now = int(self._clock())
        if upload.is_expired(now):
            raise UploadExpiredError(Detail.UPLOAD_EXPIRED)
        lifetime = min(self._policy.url_lifetime, upload.expires_at - now)
        ref = self._layout.staged(upload)

        signed: dict[int, PresignedPart] = {}
        for size, same in groupby(sorted(set(numbers)), plan.size_of):
            alike = list(same)
            urls = self._presigner.presign_each(
                "PUT",
                ref,
                "partNumber",
                map(str, alike),
                now=now,
                expires_in=lifetime,
                headers={"content-length": str(size)},
                query={"uploadId": s3_upload_id},
            )
            signed |= {number: PresignedPart(number, size, url) for number, url in zip(alike, urls, strict=True)}
        return PresignedParts([signed[number] for number in numbers], now + lifetime)

    async def stored(self, upload: Upload) -> list[Part] | None:
        """The parts that the store has; ``None`` when they were joined or given up."""
        plan, s3_upload_id = plan_of(upload)
        found = await self._store.list_parts(self._layout.staged(upload), s3_upload_id)
        await asyncio.sleep(0)  # each step over ten thousand parts takes milliseconds: others have a turn in between
        return None if found is None else current(plan, found)

    async def join(self, upload: Upload) -> None:
        """Make the staged object of the parts, unless that was done, or the parts were removed, before.

        Raises ``PartsMissingError`` or ``SizeMismatchError`` naming the parts; then nothing was changed.
        """
        plan, s3_upload_id = plan_of(upload)
        stored = await self.stored(upload)
        if stored is None:
            return
        staged, parts = self._layout.staged(upload), complete(plan, stored)
        await asyncio.sleep(0)
        if not await self._store.complete_multipart(staged, s3_upload_id, parts):
            await self._store.abort_multipart(staged, s3_upload_id)  # an object is there: these parts are left over

    async def _create(self, upload: Upload) -> str:
        headers = {"content-type": upload.file.content_type}
        return await self._store.create_multipart(self._layout.staged(upload), headers=headers)

    async def _find_or_create(self, upload: Upload) -> str:
        ref = self._layout.staged(upload)
        listed, staged = await asyncio.gather(self._store.open_multiparts(ref.bucket, ref.key), self._store.head(ref))
        if is_tombstone(staged):
            raise UploadDeletedError
        known = [each.s3_upload_id for each in listed if each.key == ref.key]
        return known[0] if known else await self._create(upload)


def plan_of(upload: Upload) -> tuple[PartPlan, str]:
    """The plan of an upload in parts, and the store's id of it; raises ``InvalidRequestError`` if it is one PUT."""
    if upload.multipart is None:
        raise InvalidRequestError(Detail.NOT_MULTIPART)
    return PartPlan(upload.file.size, upload.multipart.part_size), upload.multipart.s3_upload_id
