"""The counts of uploads, as the use cases report them."""

from collections.abc import Sequence
from typing import Final

from broker.core.model import Upload
from broker.error_codes import Code
from broker.service.observer import REFUSALS, LimitedBy

from .histogram import Histogram

DELAYS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)
"""Upper bounds of the delays from create to confirm, in seconds."""

METHODS_OF_UPLOADS: Final = ("put", "multipart", "form")
"""How the bytes of an upload reach the store: by one PUT, in parts, or through the broker."""


class UploadMetrics:
    """The ``Observer`` of one process. Every label exists from the start, so that its first increase is seen."""

    def __init__(self) -> None:
        self.created_by = dict.fromkeys(METHODS_OF_UPLOADS, 0)
        self.confirmed_count = self.confirmed_bytes = 0
        self.delays = Histogram(DELAYS)
        self.refused_by: dict[Code, int] = dict.fromkeys((kind.code for kind in REFUSALS), 0)
        self.expired_count = self.deleted_count = 0
        self.limited_by = dict.fromkeys(LimitedBy, 0)

    def created(self, uploads: Sequence[Upload], *, by_form: bool = False) -> None:
        """Count new uploads by their method."""
        counts = self.created_by
        for upload in uploads:
            counts["form" if by_form else "put" if upload.multipart is None else "multipart"] += 1

    def confirmed(self, size: int, seconds: int | None) -> None:
        """Count a first confirm, its bytes, and its delay if it has one."""
        self.confirmed_count += 1
        self.confirmed_bytes += size
        if seconds is not None:
            self.delays.add(seconds)

    def refused(self, code: Code, count: int) -> None:
        """Count refused files by the code of the error."""
        self.refused_by[code] += count

    def expired(self) -> None:
        """Count a confirm or a status of an expired upload."""
        self.expired_count += 1

    def deleted(self, count: int) -> None:
        """Count final deletions."""
        self.deleted_count += count

    def rate_limited(self, by: LimitedBy) -> None:
        """Count a request that a rate limit refused."""
        self.limited_by[by] += 1
