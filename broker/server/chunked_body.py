"""The limits of a chunked body's framing: sizes, extensions and trailers (RFC 9112, section 7.1).

httptools parses the framing strictly and without a limit. The body itself has the limit of its endpoint.
"""

from typing import Final

from broker.error_texts import Detail
from broker.errors import MalformedRequestError

FRAMING_MAX: Final = 64 * 1024
"""Maximum bytes of all lines that frame one body. A chunk needs at least five."""

CHUNK_LINE_MAX: Final = 256
"""Maximum bytes of the line before a chunk: its size, and extensions, which are ignored."""


class ChunkedBody:
    """Counts the bytes that frame one body.

    Its caller passes each piece to ``count`` before the parser sees it, and the bytes of content that the parser found
    in the piece to ``discount``. A piece ends at the latest with a line, or with the content of a chunk.
    """

    def __init__(self) -> None:
        self._framing = self._content_left = 0
        self._line = b""
        self._is_in_chunk = False

    def piece_end(self, data: bytes, start: int) -> int:
        """Return where the piece ends that begins at ``start``."""
        return start + self._content_left if self._content_left else line_end(data, start)

    def count(self, piece: bytes) -> None:
        """Count received bytes; raise ``MalformedRequestError`` if the line before a chunk is too long."""
        self._framing += len(piece)
        if self._is_in_chunk:
            self._content_left = max(self._content_left - len(piece), 0)
            return
        self._line += piece
        if len(self._line) > CHUNK_LINE_MAX:
            raise MalformedRequestError(Detail.CHUNK_LINE.format(limit=CHUNK_LINE_MAX))

    def discount(self, content: int) -> None:
        """Subtract bytes that were content; raise ``MalformedRequestError`` if all others are too many."""
        self._framing -= content
        if self._framing > FRAMING_MAX:
            raise MalformedRequestError(Detail.CHUNK_FRAMING.format(limit=FRAMING_MAX))

    def start_chunk(self) -> None:
        """Begin the content of a chunk, or the trailers behind the last one."""
        self._is_in_chunk = True
        self._content_left = int(self._line.partition(b";")[0], 16)  # httptools accepts only hexadecimal digits

    def end_chunk(self) -> None:
        """Begin the line before the next chunk."""
        self._is_in_chunk, self._line = False, b""


def line_end(data: bytes, start: int) -> int:
    """Return the end of the line that begins at ``start``, or of ``data``."""
    return data.find(b"\n", start) + 1 or len(data)
