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

    Its caller passes each line to ``count`` before the parser sees it, and the bytes of content that the parser found
    in the line to ``discount``.
    """

    def __init__(self) -> None:
        self._framing = self._line = 0
        self._is_in_chunk = False

    def count(self, received: int) -> None:
        """Count received bytes; raise ``MalformedRequestError`` if the line before a chunk is too long."""
        self._framing += received
        if not self._is_in_chunk:
            self._line += received
            if self._line > CHUNK_LINE_MAX:
                raise MalformedRequestError(Detail.CHUNK_LINE.format(limit=CHUNK_LINE_MAX))

    def discount(self, content: int) -> None:
        """Subtract bytes that were content; raise ``MalformedRequestError`` if all others are too many."""
        self._framing -= content
        if self._framing > FRAMING_MAX:
            raise MalformedRequestError(Detail.CHUNK_FRAMING.format(limit=FRAMING_MAX))

    def start_chunk(self) -> None:
        """Begin the content of a chunk, or the trailers behind the last one."""
        self._is_in_chunk = True

    def end_chunk(self) -> None:
        """Begin the line before the next chunk."""
        self._is_in_chunk, self._line = False, 0
