"""The comparison of a sorted listing of the store with the sorted keys of the product: one pass, constant memory.

Rules of this module
- An upload is its UUID. An object is referred to if any key of the product has its UUID: R2 normalizes Unicode in keys
  (developers.cloudflare.com/r2/reference/unicode-interoperability), so a key of JamSync may be listed in another form.
- The UUID is ASCII and comes first, so every store that lists in the order of UTF-8 lists UUIDs in order. A listing
  that does not is an error, because its comparison would be wrong.
- An object that is neither the broker's nor JamSync's by its key is foreign: it is reported, and nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple
from unicodedata import normalize

from broker.core.model import ListedObject
from broker.core.object_keys import READY_PREFIX, is_ready_key

_UUID_END: Final = len(READY_PREFIX) + 36
_LAST: Final = "~"  # sorts after every key


class Kind(StrEnum):
    """The kind of a finding, as the output names it."""

    UNREFERENCED = "unreferenced"
    MISSING = "missing"
    FOREIGN = "foreign"


class Finding(NamedTuple):
    """One difference. ``stored`` is ``None`` for a key that the store lacks."""

    kind: Kind
    key: str
    stored: ListedObject | None


class ListingOrderError(Exception):
    """The store does not list keys in order, so that no comparison is possible."""


@dataclass(slots=True)
class Counts:
    """What was compared. ``recent`` are objects that nobody refers to, and that are too young to be reported."""

    objects: int = 0
    referenced: int = 0
    recent: int = 0
    unreferenced: int = 0
    unreferenced_bytes: int = 0
    foreign: int = 0
    missing: int = 0


class Comparison:
    """Compares objects, which ``add`` takes in order, with ``keys``, which are sorted.

    An object is old if it was stored at ``before`` or earlier, in seconds since the Unix epoch.
    """

    def __init__(self, keys: Iterator[str], before: float) -> None:
        self.counts: Final = Counts()
        self._keys = keys
        self._next = next(keys, None)
        self._before = before
        self._upload = ""  # the UUID in progress, with its prefix
        self._named: list[str] = []  # keys of the product with this UUID
        self._present: set[str] = set()  # objects with this UUID, normalized
        self._last = ""

    def add(self, objects: Iterable[ListedObject]) -> Iterator[Finding]:
        """Yield the findings of the next objects; raise ``ListingOrderError``."""
        for stored in objects:
            if not is_ready_key(stored.key):
                self.counts.foreign += 1
                yield Finding(Kind.FOREIGN, stored.key, stored)
            elif stored.key != self._last:
                self._last = stored.key
                yield from self._add(stored)

    def finish(self) -> Iterator[Finding]:
        """Yield the keys that remain, after the last object."""
        yield from self._begin(_LAST)

    def _add(self, stored: ListedObject) -> Iterator[Finding]:
        upload = stored.key[:_UUID_END]
        if upload < self._upload:
            raise ListingOrderError("the store does not list keys in the order of UTF-8")
        if upload != self._upload:
            yield from self._begin(upload)
        self._present.add(normalize("NFC", stored.key))
        counts = self.counts
        counts.objects += 1
        if self._named:
            counts.referenced += 1
        elif stored.last_modified > self._before:
            counts.recent += 1
        else:
            counts.unreferenced += 1
            counts.unreferenced_bytes += stored.size
            yield Finding(Kind.UNREFERENCED, stored.key, stored)

    def _begin(self, upload: str) -> Iterator[Finding]:
        """End the upload in progress, and collect the keys of the next one; yield the keys without an object."""
        yield from map(self._missing, (key for key in self._named if normalize("NFC", key) not in self._present))
        self._upload, self._named, self._present = upload, [], set()
        while self._next is not None and self._next[:_UUID_END] <= upload:
            if self._next[:_UUID_END] == upload:
                self._named.append(self._next)
            else:
                yield self._missing(self._next)
            self._next = next(self._keys, None)

    def _missing(self, key: str) -> Finding:
        self.counts.missing += 1
        return Finding(Kind.MISSING, key, None)
