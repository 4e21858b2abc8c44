"""The mark that makes a deletion final: an empty object where the bytes of the upload were staged.

Rules of this module
- A tombstone occupies the staged key. So an upload URL that is still alive meets ``If-None-Match: *`` (412), a copy
  that is under way meets its source condition, and a confirm finds it and answers ``upload_deleted``.
- No client can write one: upload URLs sign a Content-Length of at least one byte.
- It is written before anything else is removed, and outlives every upload id with its key (``retention_days``).
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
    """Whether this staged object says that its upload was deleted."""
    return stored is not None and stored.size == 0 and stored.metadata.get(_MARK) == _DELETED
