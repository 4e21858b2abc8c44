"""The bytes of a passing file that are compared with its type: its first ones, and those behind a long tag."""

from broker.errors import EmptyFileError

from .media import SNIFF_BYTES, MediaType
from .model import Content, FileSpec, ObjectHead, StoredObject
from .verification import check


class ContentSample:
    """Keeps what ``verification.check`` needs of a file whose bytes pass once, at most ``2 * SNIFF_BYTES`` bytes.

    ``size_max`` is the largest size that the file may turn out to have.
    """

    def __init__(self, media_type: MediaType, size_max: int) -> None:
        self.size = 0
        self._media_type = media_type
        self._size_max = size_max
        self._first = b""
        self._offset = 0  # of the content behind a long tag, once it is known
        self._content = b""

    def add(self, piece: bytes) -> None:
        """Take the next piece of the file."""
        if len(self._first) < SNIFF_BYTES:
            self._first += piece[: SNIFF_BYTES - len(self._first)]
            if len(self._first) == SNIFF_BYTES:
                self._offset = self._media_type.content_beyond(self._first, self._size_max)
                self._content = self._first[self._offset :] if self._offset else b""
        if self._offset and len(self._content) < SNIFF_BYTES:
            start = max(self._offset + len(self._content) - self.size, 0)
            self._content += piece[start : start + SNIFF_BYTES - len(self._content)]
        self.size += len(piece)

    def check(self, file: FileSpec) -> None:
        """Check the file, whose size is known now, as a staged object is checked.

        Raises ``EmptyFileError`` or the error of the difference.
        """
        if not self.size:
            raise EmptyFileError
        described = StoredObject(self.size, file.media_type.name, "", 0, {})
        offset = self._media_type.content_beyond(self._first, self.size)
        check(file, ObjectHead(described, self._first), Content(offset, self._content) if offset else None)
