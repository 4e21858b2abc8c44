"""R2's own limits. A deployment may only narrow them.

Sources: developers.cloudflare.com/r2/platform/limits and /r2/objects/multipart-objects.
"""

from typing import Final

MIB: Final = 2**20
GIB: Final = 2**30
TIB: Final = 2**40

PUT_MAX: Final = 5 * GIB - 5 * MIB
"""Bytes of one PutObject, of one part, and of what one CopyObject or UploadPartCopy copies."""

OBJECT_MAX: Final = 5 * TIB - 5 * GIB
"""Bytes of an object."""

PART_MIN: Final = 5 * MIB
"""Bytes of a part, unless it is the last."""

PARTS_MAX: Final = 10_000
"""Parts of an upload."""
