"""Ready objects: look at one, delete one, delete many, find the key in a URL.

To a user an object of another owner does not exist: every method answers alike. An object without an owner in its
metadata (older than the broker) belongs to the service alone.
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

_COPIES_ENDED: Final = 3600
"""Seconds after which no copy to a ready object can be under way: far more than their deadline and all clocks' skew."""


@dataclass(frozen=True, slots=True)
class ReadyObject:
    """A ready object as its owner sees it."""

    key: str
    stored: StoredObject
    owner: str | None
    filename: str | None
    url: str | None


class Objects:
    """The use cases of ready objects."""

    def __init__(self, *, store: ObjectStore, layout: Layout, deletion: Deletion, clock: Callable[[], float]) -> None:
        self._store = store
        self._layout = layout
        self._deletion = deletion
        self._clock = clock

    async def get(self, principal: Principal, key: str) -> ReadyObject:
        """The object at ``key``; raises ``NotFoundError`` when it is not there for ``principal``."""
        found = await self._find(key)
        if found is None or not principal.may_act_for(found.owner):
            raise NotFoundError(Detail.OBJECT_NOT_FOUND)
        return found

    async def delete(self, principal: Principal, key: str) -> None:
        """Delete the object for good; raises ``NotFoundError`` when there is none for ``principal``, deleted ones too.

        Raises ``StorageUnavailableError`` when it may be only half deleted: to delete it again is safe.
        """
        found = await self.get(principal, key)
        is_settled = self._clock() - found.stored.last_modified > _COPIES_ENDED
        await self._deletion.delete(self._layout.staged_twin(key), self._layout.object(key), is_settled=is_settled)

    async def delete_many(self, principal: Principal, wanted: Sequence[str]) -> dict[str, str]:
        """Delete many objects for good; returns those of ``wanted`` that are not deleted, each with the reason.

        For the service only: raises ``ForbiddenError``.
        """
        if not principal.is_service:
            raise ForbiddenError(Detail.DELETE_MANY_FORBIDDEN)
        check_keys(wanted)
        return await self._deletion.delete_many(list(dict.fromkeys(wanted)))

    def key_in(self, url: str) -> str:
        """The ready key in a URL of this deployment; raises ``NotFoundError`` for every other URL."""
        key = self._layout.key_in(url)
        if key is None:
            raise NotFoundError(Detail.URL_NOT_FOUND)
        return key

    async def _find(self, key: str) -> ReadyObject | None:
        if not object_keys.is_ready_key(key):
            return None
        stored = await self._store.head(self._layout.object(key))
        if stored is None:
            return None
        owner, filename = (stored.metadata.get(name) for name in ("owner", "filename"))
        return ReadyObject(
            key,
            stored,
            unquote(owner) if owner else None,
            unquote(filename) if filename else None,
            self._layout.url(key),
        )


def check_keys(wanted: Sequence[str]) -> None:
    """Raise ``InvalidRequestError`` naming each item of ``wanted`` that is no ready key."""
    faults = [Fault(f"/keys/{i}", Rule.READY_KEY) for i, key in enumerate(wanted) if not object_keys.is_ready_key(key)]
    if faults:
        raise about(InvalidRequestError, *faults)
