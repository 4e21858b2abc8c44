"""Limits of R2. A deployment may only narrow them.

Sources: developers.cloudflare.com/r2/platform/limits and /r2/objects/multipart-objects.
"""

from typing import Final

MIB: Final = 2**20
GIB: Final = 2**30
TIB: Final = 2**40

PUT_MAX: Final = 5 * GIB - 5 * MIB
"""Maximum bytes of one PutObject or UploadPart, and of the source of one CopyObject or UploadPartCopy."""

OBJECT_MAX: Final = 5 * TIB - 5 * GIB
"""Maximum bytes of an object."""

PART_MIN: Final = 5 * MIB
"""Minimum bytes of every part but the last."""

PARTS_MAX: Final = 10_000
"""Maximum number of parts of one multipart upload."""
