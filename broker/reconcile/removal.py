"""The deletion of unreferenced objects: in batches, at a bounded rate, each of them final (``service.deletion``).

A run that ends at any moment, also by SIGKILL, leaves each object as it was, deleted, or with a tombstone beside it.
The next run finds in the store what is left, and deletes it: no other state is needed.
"""

import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from broker.errors import StorageUnavailableError
from broker.service.deletion import Deletion

from .patience import Stop, persist

BATCH_MAX: Final = 100
"""Objects that are deleted together. A signal waits for the batch in progress."""


class Batch(NamedTuple):
    """The result of one batch: the deleted keys, and the others with the reason of each."""

    deleted: list[str]
    failed: dict[str, str]


async def delete_all(deletion: Deletion, keys: Iterator[str], rate: int, stop: Stop) -> AsyncIterator[Batch]:
    """Delete the objects of ready keys, at most ``rate`` a second, and yield each batch; end early at a ``stop``.

    Raises ``StorageUnavailableError`` when the store deletes nothing of a batch.
    """
    size = min(rate, BATCH_MAX)
    while not stop.is_set() and (batch := list(islice(keys, size))):
        ends_at = time.monotonic() + len(batch) / rate
        yield await persist(partial(_delete, deletion, batch), stop)
        await stop.wait(ends_at - time.monotonic())


async def _delete(deletion: Deletion, keys: list[str]) -> Batch:
    failed = await deletion.delete_many(keys)
    if len(failed) == len(keys):
        raise StorageUnavailableError(f"DeleteObjects returned {[*failed.values()][-1]}")
    return Batch([key for key in keys if key not in failed], failed)
