"""One run: compare the ready objects with the product's keys, check that a deletion is safe, and delete.

Nothing is deleted before the whole listing was compared, so the run can refuse a deletion as a whole.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from broker.core.object_keys import READY_PREFIX
from broker.core.upload_rules import DAY, IDEMPOTENCY_PERIOD, UploadPolicy
from broker.service.deletion import Deletion
from broker.store.port import ObjectPage, ObjectStore

from .comparison import Comparison, Counts, Finding
from .key_list import KeyList
from .patience import Stop, persist
from .removal import Batch, delete_all

DEFAULT_AGE: Final = 7 * DAY
"""Seconds after which an object that nobody refers to is reported, unless ``least_age`` is more."""


def least_age(policy: UploadPolicy) -> int:
    """Return the least age in seconds of an object that may be deleted.

    A client can confirm its upload for the first time while its upload id is valid, for ``lifetime``; a create that is
    retried with its ``Idempotency-Key`` returns a new one for another period. The date of an object may be that of the
    start of its copy, which is not before the create. One day more is a margin for the clocks, for the time that an
    export takes, and for queues of the product. A confirm that is repeated later returns the key as well, so a product
    that stores keys then needs a longer ``--older-than``.
    """
    return policy.lifetime + IDEMPOTENCY_PERIOD + DAY


class UnsafeDeletionError(Exception):
    """The deletion is refused as a whole. The text has the reason and the option that permits it."""


class StoppedError(Exception):
    """A signal ended the run."""


class Limits(NamedTuple):
    """What a deletion may do: objects in a second, percent of all objects, and whether the list may be empty."""

    rate: int
    max_share: int
    allows_empty: bool


def check_list(keys: KeyList, limits: Limits) -> None:
    """Raise ``UnsafeDeletionError`` if the list may be incomplete."""
    if keys.is_cut:
        raise UnsafeDeletionError("the last line of the list has no end, so it may be cut off. Export it again")
    if not keys.count and not limits.allows_empty:
        raise UnsafeDeletionError("the list has no keys. If the product has none, add --allow-empty")


def check_share(counts: Counts, limits: Limits) -> None:
    """Raise ``UnsafeDeletionError`` if the deletion would remove too many of the objects."""
    share = math.ceil(100 * counts.unreferenced / max(1, counts.objects))
    if counts.unreferenced * 100 > counts.objects * limits.max_share:
        raise UnsafeDeletionError(
            f"{counts.unreferenced} of {counts.objects} objects are more than {limits.max_share} %. "
            f"Check that the list is complete; to delete them, add --max-share {share}"
        )


@dataclass(slots=True)
class Reconciliation:
    """One run at one bucket; ``report`` receives each finding.

    ``is_compared`` is whether the whole listing was compared, ``deleted`` and ``failed`` are numbers of objects.
    """

    store: ObjectStore
    deletion: Deletion
    report: Callable[[Finding], None]
    counts: Counts = field(default_factory=Counts)
    is_compared: bool = False
    deleted: int = 0
    failed: int = 0
    stop: Stop = field(default_factory=Stop)

    async def compare(self, keys: Iterator[str], before: float) -> None:
        """Compare all ready objects with the keys, which are sorted. Objects stored after ``before`` are kept.

        Raises ``StoppedError``, ``StorageUnavailableError`` or ``ListingOrderError``.
        """
        comparison = Comparison(keys, before)
        self.counts = comparison.counts
        page: str | None = None
        while not self.stop.is_set():
            found = await persist(partial(self._list, page), self.stop)
            for finding in comparison.add(found.objects):
                self.report(finding)
            page = found.following
            if page is None:
                for finding in comparison.finish():
                    self.report(finding)
                self.is_compared = True
                return
        raise StoppedError

    async def delete(self, keys: Iterator[str], rate: int) -> AsyncIterator[Batch]:
        """Delete the objects, and yield each batch.

        Raises ``StoppedError`` if a signal came before the last batch, and ``StorageUnavailableError``.
        """
        async for batch in delete_all(self.deletion, keys, rate, self.stop):
            self.deleted += len(batch.deleted)
            self.failed += len(batch.failed)
            yield batch
        if self.deleted + self.failed < self.counts.unreferenced:
            raise StoppedError

    async def _list(self, page: str | None) -> ObjectPage:
        return await self.store.list_objects(self.deletion.layout.bucket, READY_PREFIX, page=page)
