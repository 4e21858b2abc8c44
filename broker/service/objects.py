"""Ready objects: read one, delete one, delete many, find the key in a URL.

To a user an object of another owner does not exist: every method responds alike. An object without an owner in its
metadata, uploaded before the broker was in use, belongs to the service alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from broker.core import object_keys
from broker.core.layout import Layout
from broker.core.model import Principal, StoredObject
from broker.error_texts import Detail, Rule
from broker.errors import Fault, ForbiddenError, InvalidRequestError, NotFoundError, about
from broker.store.port import ObjectStore

from .deletion import Deletion
from .observer import Observer

_COPIES_ENDED: Final = 3600
"""Seconds after which no copy to a ready object can be in progress: far above their deadline plus all clock skew."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """A ready object with its owner, its file name and its public URL, as far as they are known."""

    key: str
    stored: StoredObject
    owner: str | None
    filename: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class Objects:
    """The use cases of ready objects. ``clock`` returns the seconds since the Unix epoch."""

    store: ObjectStore
    layout: Layout
    deletion: Deletion
    clock: Callable[[], float]
    observer: Observer | None = None

    async def get(self, principal: Principal, key: str) -> FoundObject:
        """Return the object at ``key``; raise ``NotFoundError`` if it does not exist for ``principal``."""
        found = await self._read(key)
        if found is None or not principal.may_act_for(found.owner):
            raise NotFoundError(Detail.OBJECT_NOT_FOUND)
        return found

    async def delete(self, principal: Principal, key: str) -> None:
        """Delete the object finally.

        Raises ``NotFoundError`` if it does not exist for ``principal`` or was deleted before, and
        ``StorageUnavailableError`` if it may be half deleted: then the deletion must be retried, which is safe.
        """
        found = await self.get(principal, key)
        copies_ended = self.clock() - found.stored.last_modified > _COPIES_ENDED
        await self.deletion.delete(self.layout.staged_twin(key), self.layout.object(key), copies_ended=copies_ended)
        if self.observer:
            self.observer.deleted(1)

    async def delete_many(self, principal: Principal, keys: Sequence[str]) -> dict[str, str]:
        """Delete many objects finally; return the keys that are not deleted, each with the reason.

        Raises ``ForbiddenError`` unless ``principal`` is a service.
        """
        if not principal.is_service:
            raise ForbiddenError(Detail.DELETE_MANY_FORBIDDEN)
        check_keys(keys)
        unique = list(dict.fromkeys(keys))
        failed = await self.deletion.delete_many(unique)
        if self.observer:
            self.observer.deleted(len(unique) - len(failed))
        return failed

    def key_in(self, url: str) -> str:
        """Return the ready key in a URL of this deployment; raise ``NotFoundError`` for every other URL."""
        key = self.layout.key_in(url)
        if key is None:
            raise NotFoundError(Detail.URL_NOT_FOUND)
        return key

    async def _read(self, key: str) -> FoundObject | None:
        if not object_keys.is_ready_key(key):
            return None
        stored = await self.store.head(self.layout.object(key))
        if stored is None:
            return None
        owner, filename = (stored.metadata.get(name) for name in ("owner", "filename"))
        return FoundObject(
            key,
            stored,
            unquote(owner) if owner else None,
            unquote(filename) if filename else None,
            self.layout.url(key),
        )


def check_keys(keys: Sequence[str]) -> None:
    """Raise ``InvalidRequestError`` naming each item of ``keys`` that is not a ready key."""
    faults = [Fault(f"/keys/{i}", Rule.READY_KEY) for i, key in enumerate(keys) if not object_keys.is_ready_key(key)]
    if faults:
        raise about(InvalidRequestError, *faults)
