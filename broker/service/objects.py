"""Ready objects: look at one, delete one, delete many, find the key in a URL.

To a user an object of another owner is not there. An object without an owner in its metadata (older than the
broker) belongs to the service alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from broker.core import keys
from broker.core.layout import Layout
from broker.core.model import Principal, StoredObject
from broker.errors import Fault, ForbiddenError, InvalidRequestError, NotFoundError, about
from broker.store.port import ObjectStore


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

    def __init__(self, *, store: ObjectStore, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    async def get(self, principal: Principal, key: str) -> ReadyObject:
        """The object at ``key``; raises ``NotFoundError`` when it is not there for ``principal``."""
        found = await self._find(key)
        if found is None or not principal.may_act_for(found.owner):
            raise NotFoundError("There is no such object.")
        return found

    async def delete(self, principal: Principal, key: str) -> None:
        """Delete the object and what it was promoted from, so that no confirm brings it back.

        Deleting what is not there succeeds; raises ``NotFoundError`` for another's object or what is no key.
        """
        if not keys.is_ready_key(key):
            raise NotFoundError("There is no such object.")
        if not principal.is_service:
            found = await self._find(key)
            if found is None:
                return
            if not principal.may_act_for(found.owner):
                raise NotFoundError("There is no such object.")
        await self._store.delete(self._layout.staged_twin(key))
        await self._store.delete(self._layout.object(key))

    async def delete_many(self, principal: Principal, wanted: Sequence[str]) -> dict[str, bool]:
        """Whether each of ``wanted`` is now gone. For the service only: raises ``ForbiddenError``."""
        if not principal.is_service:
            raise ForbiddenError("Deleting many objects at once is for the service.")
        check_keys(wanted)
        twins = {self._layout.staged_twin(key).key: key for key in wanted}
        failed = await self._store.delete_many(self._layout.staging_bucket, list(twins))
        kept = {twins[twin] for twin in failed}
        kept |= await self._store.delete_many(self._layout.bucket, [key for key in twins.values() if key not in kept])
        return {key: key not in kept for key in wanted}

    def key_in(self, url: str) -> str:
        """The ready key in a URL of this deployment; raises ``NotFoundError`` for every other URL."""
        key = self._layout.key_in(url)
        if key is None:
            raise NotFoundError("That is no URL of a ready object of this deployment.")
        return key

    async def _find(self, key: str) -> ReadyObject | None:
        if not keys.is_ready_key(key):
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
    faults = [Fault(f"/keys/{i}", "is not a ready key") for i, key in enumerate(wanted) if not keys.is_ready_key(key)]
    if faults:
        raise about(InvalidRequestError, *faults)
