"""The multipart uploads of forms whose process was killed: found by their keys and their age, and aborted.

Rules of this module
- The UUID in the key of a form's file has version 8 (RFC 9562, section 5.8); the UUIDs of all other uploads have
  version 4. So the copy of a promotion, which is a multipart upload in the same bucket, is never aborted.
- A form ends within an hour and its last calls to the store. So a multipart upload of ``AGE_MIN`` belongs to no form
  that is being received, by this process or another one.
- Forms start the search, once in ``INTERVAL`` for each process. No form waits for it.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final

from broker.core.model import ObjectRef, OpenMultipart
from broker.core.object_keys import READY_PREFIX
from broker.crypto.random_uuids import RandomUuids
from broker.errors import StorageUnavailableError
from broker.store.port import ObjectStore

log = logging.getLogger("broker.service")

AGE_MIN: Final = 7200
"""Seconds after which a multipart upload of a form is aborted: an hour for the form, and an hour as a margin."""

INTERVAL: Final = 600.0
"""Seconds between two searches of a process. Each is one call to the store (ListMultipartUploads)."""

_VERSION_AT: Final = len(READY_PREFIX) + 14
"""The index of the hex digit with the version in a ready key."""

_uuids: Final = RandomUuids()


def new_uuid() -> str:
    """Return the UUID of a form's file: a random one of version 8."""
    uuid = _uuids.next()
    return f"{uuid[:14]}8{uuid[15:]}"


@dataclass(slots=True)
class AbandonedForms:
    """Aborts the multipart uploads of abandoned forms in ``bucket``. ``clock`` returns seconds since the Unix epoch."""

    store: ObjectStore
    bucket: str
    clock: Callable[[], float]
    _next_search: float = field(default=0.0, init=False)
    _search: asyncio.Task[None] | None = field(default=None, init=False)

    def search(self) -> None:
        """Start a search in the background, unless the last one began less than ``INTERVAL`` ago."""
        now = asyncio.get_running_loop().time()
        if now >= self._next_search and (self._search is None or self._search.done()):
            self._next_search = now + INTERVAL
            self._search = asyncio.create_task(self._abort_all(), context=Context())

    async def close(self) -> None:
        """End a search."""
        if self._search:
            self._search.cancel()
            await asyncio.wait([self._search])

    async def _abort_all(self) -> None:
        latest, count = self.clock() - AGE_MIN, 0
        try:
            for found in await self.store.open_multiparts(self.bucket, READY_PREFIX):
                is_of_form = found.key[_VERSION_AT : _VERSION_AT + 1] == "8"
                if is_of_form and 0 < found.initiated < latest:  # 0: the store does not return it
                    count += await self._is_aborted(found)
        except StorageUnavailableError as error:
            self._log_failure(error)
        if count:
            log.warning(json.dumps({"event": "broker.abandoned_forms_aborted", "count": count}))

    async def _is_aborted(self, found: OpenMultipart) -> bool:
        """Abort an upload; one that the store does not abort must not keep the others."""
        try:
            await self.store.abort_multipart(ObjectRef(self.bucket, found.key), found.s3_upload_id)
        except StorageUnavailableError as error:
            self._log_failure(error)
            return False
        return True

    def _log_failure(self, error: StorageUnavailableError) -> None:
        log.warning(json.dumps({"event": "broker.abandoned_forms_search_failed", "reason": error.reason}))
