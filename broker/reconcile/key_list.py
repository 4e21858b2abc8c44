"""The list of keys that the product knows: read line by line, checked, and sorted outside of memory.

Rules of this module
- A line is a key, or JSON: a text, or an object with a member ``key``. Blank lines and ``null`` are skipped.
- The first line that is neither is an error that names it. A URL is never taken for a key.
- Memory is bounded by ``RUN_BYTES``: each full run is sorted and written to a temporary file without a name, which the
  system removes when the process ends, also by SIGKILL. The runs are merged while they are read.
- The order is that of UTF-8, which is the order of code points.
"""

import heapq
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any, BinaryIO, Final

from broker.core import strict_json
from broker.core.object_keys import is_ready_key
from broker.error_texts import shown

RUN_BYTES: Final = 64 * 1024 * 1024
"""Bytes of memory that one run may take before it is written to its file."""

LINE_MAX: Final = 64 * 1024
"""Maximum bytes of a line."""

_OVERHEAD: Final = 64  # bytes of a Python object and of its place in a list


class KeyListError(Exception):
    """The list is not a list of keys. The text names the line and the remedy."""


class KeyList:
    """A sorted list of keys. ``count`` is the number of lines with a key, ``is_cut`` whether the last line has no end.

    Close it, so that its temporary files are removed.
    """

    def __init__(self) -> None:
        self.count = 0
        self.is_cut = False
        self._runs: list[IO[bytes]] = []
        self._resources = ExitStack()

    def read(self, source: BinaryIO) -> None:
        """Read all lines; raise ``KeyListError``, or ``OSError`` if the source or a temporary file fails."""
        held: list[bytes] = []
        size = 0
        for number, line in enumerate(iter(lambda: source.readline(LINE_MAX + 1), b""), start=1):
            self.is_cut = not line.endswith(b"\n")
            key = _key_of(line, number)
            if key is None:
                continue
            self.count += 1
            held.append(key.encode() + b"\n")
            size += len(key) + _OVERHEAD
            if size > RUN_BYTES:
                self._write(held)
                held, size = [], 0
        self._write(held)

    def sorted(self) -> Iterator[str]:
        """Yield each key once, in order."""
        for run in self._runs:
            run.seek(0)
        last = b""
        for line in heapq.merge(*self._runs):  # no character of a key sorts before the end of the line
            if line != last:
                last = line
                yield line[:-1].decode()

    def close(self) -> None:
        """Remove the temporary files."""
        self._resources.close()

    def _write(self, keys: list[bytes]) -> None:
        keys.sort()
        run = self._resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  see close
        run.writelines(keys)
        run.flush()
        self._runs.append(run)


def _key_of(line: bytes, number: int) -> str | None:
    """Return the key in a line; ``None`` if there is none; raise ``KeyListError``."""
    if len(line) > LINE_MAX:
        raise KeyListError(f"line {number} has more than {LINE_MAX} bytes. Write one key in each line.")
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise KeyListError(f"line {number} is not UTF-8. Save the list as UTF-8 text.") from None
    text = text.rstrip("\r\n").lstrip()
    if not text:
        return None
    return _key_in_json(text, number) if text[0] in '{"' else _checked(text, number)


def _key_in_json(text: str, number: int) -> str | None:
    try:
        document: Any = strict_json.parse(text.encode())
    except ValueError as error:
        raise KeyListError(f"line {number} {error}.") from None
    if isinstance(document, dict):
        if "key" not in document:
            raise KeyListError(f'line {number} has no member "key". Name it in the export.')
        document = document["key"]
    if document is None:
        return None
    if not isinstance(document, str):
        raise KeyListError(f'line {number}: the member "key" must be a text.')
    return _checked(document, number, is_exact=True)


def _checked(text: str, number: int, *, is_exact: bool = False) -> str:
    """Return a key; raise ``KeyListError``. ``is_exact``: blanks at its end belong to it."""
    if not is_exact and text != text.rstrip():
        raise KeyListError(
            f'line {number} ends with a blank. Remove it, or write {{"key": "..."}} if it belongs to it.'
        )
    if "://" in text:
        raise KeyListError(f"line {number} is a URL. Write only the key, which begins with media/ and has no query.")
    if not is_ready_key(text):
        raise KeyListError(f"line {number} is not a key: {shown(text)}. A key has the form media/<UUID>.<extension>.")
    return text
