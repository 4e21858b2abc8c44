"""The port by which the use cases report events. Metrics implement it; without metrics there is no observer.

Rules of this module
- An event is reported once it has happened, on the event loop, and each file of a batch counts.
- An event carries no text that a client chose.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

from broker.core.model import Upload
from broker.error_codes import Code
from broker.errors import (
    BrokerError,
    ChecksumMismatchError,
    ContentMismatchError,
    EncodingMismatchError,
    NotUploadedError,
    PartsMissingError,
    SizeMismatchError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedTypeError,
    UploadDeletedError,
    UploadExpiredError,
)

REFUSALS: Final[tuple[type[BrokerError], ...]] = (
    ChecksumMismatchError,
    ContentMismatchError,
    EncodingMismatchError,
    NotUploadedError,
    PartsMissingError,
    SizeMismatchError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedTypeError,
    UploadDeletedError,
    UploadExpiredError,
)
"""The errors about an upload itself, as opposed to its request, its caller or the store."""


class LimitedBy(StrEnum):
    """What a rate limit counts for."""

    PRINCIPAL = "principal"
    ADDRESS = "address"


class Observer(Protocol):
    """Receives the events of one process. No method raises or waits."""

    def created(self, uploads: Sequence[Upload], *, by_form: bool = False) -> None:
        """Receive new uploads. ``by_form``: their bytes pass through the broker."""

    def confirmed(self, size: int, seconds: int | None) -> None:
        """Receive the first confirm of an upload of ``size`` bytes, ``seconds`` after its create.

        ``seconds`` is ``None`` for a file of a form, whose client does not confirm.
        """

    def refused(self, code: Code, count: int) -> None:
        """Receive ``count`` files that were refused with the code of one of ``REFUSALS``."""

    def expired(self) -> None:
        """Receive that a confirm or a status found its upload expired."""

    def deleted(self, count: int) -> None:
        """Receive ``count`` final deletions of uploads and objects."""

    def rate_limited(self, by: LimitedBy) -> None:
        """Receive that a rate limit refused a request."""


def report_refusal(observer: Observer | None, error: BaseException) -> None:
    """Report ``error`` if it is one of ``REFUSALS``, once for each file that its faults name."""
    if observer is None or not isinstance(error, REFUSALS):
        return
    files = {fault.pointer.rpartition("/")[0] for fault in error.faults}
    observer.refused(error.code, len(files) or 1)
    if isinstance(error, UploadExpiredError):
        observer.expired()
