"""Tombstones: empty objects at staged keys, which make deletions final.

Rules of this module
- A tombstone occupies the staged key. So a PUT with a valid upload URL fails on ``If-None-Match: *`` (412), a copy in
  flight fails on the condition for its source, and a confirm responds with ``upload_deleted``.
- No client can write a tombstone, because upload URLs sign a Content-Length of at least one byte.
- A tombstone is written before anything is removed, and outlives every upload id with its key (``retention_days``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .model import StoredObject

_MARK: Final = "broker-state"
_DELETED: Final = "deleted"

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"content-type": "application/octet-stream", f"x-amz-meta-{_MARK}": _DELETED}
)
"""The header fields of the PutObject that writes a tombstone, sorted by name."""


def is_tombstone(stored: StoredObject | None) -> bool:
    """Return whether this staged object is a tombstone."""
    return stored is not None and stored.size == 0 and stored.metadata.get(_MARK) == _DELETED
