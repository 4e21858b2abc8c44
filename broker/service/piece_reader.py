"""Reads a stream of pieces in portions of a given size."""

from collections.abc import AsyncGenerator
from typing import Final

_JOINED_MIN: Final = 64 * 1024
"""Bytes from which received pieces are one object."""


class PieceReader:
    """Cuts the pieces of ``source``, none of which is empty, at any number of bytes."""

    def __init__(self, source: AsyncGenerator[bytes]) -> None:
        self._source = source
        self._rest = b""

    async def take(self, count: int) -> AsyncGenerator[bytes]:
        """Yield the next ``count`` bytes in pieces; fewer at the end of the source."""
        while count and (piece := self._rest or await anext(self._source, b"")):
            self._rest = piece[count:]
            taken = piece[:count]
            count -= len(taken)
            yield taken

    async def take_all(self, count: int) -> list[bytes]:
        """Return the next ``count`` bytes in pieces; fewer at the end of the source."""
        whole: list[bytes] = []
        small = bytearray()  # small pieces together, as each object has its own overhead
        async for piece in self.take(count):
            small += piece
            if len(small) >= _JOINED_MIN:
                whole.append(bytes(small))
                small.clear()
        return [*whole, bytes(small)] if small else whole
