"""The log: one JSON line a record on standard output, each with the time at which it was written.

Lines of one turn of the event loop leave in one write and with one time: each write is a call of the system's, which at
many requests a second is dearer than to make the line.
"""

import asyncio
import contextlib
import json
import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


class JsonLines(logging.Handler):
    """Writes to ``stream``, if there is one. Our records are JSON already; others' become the ``message`` of one.

    ``clock`` returns the seconds since 1970. Every line gets the time as its first member.
    """

    def __init__(self, stream: TextIO | None, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._stream = stream
        self._clock = clock
        self._second = (-1.0, "")
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line, and what waits before it, at once: it may be the last before the process ends."""
        self._waiting.append(self.format(record))
        self.flush()

    def format(self, record: logging.LogRecord) -> str:
        """Type and no words of an exception: they may quote what must not be written down."""
        text = record.getMessage()
        if text.startswith('{"event":'):
            return text
        line: dict[str, Any] = {"event": "log", "level": record.levelname.lower(), "logger": record.name}
        if record.exc_info and record.exc_info[0]:
            line["type"] = record.exc_info[0].__name__
        return json.dumps({**line, "message": text})

    def write(self, line: str) -> None:
        """Write ``line``, a JSON object that is not empty, before the loop's next turn ends; at once without a loop."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Write what waits. Where nobody reads, it is lost: the service goes on."""
        waiting, self._waiting = self._waiting, []
        if waiting and self._stream:
            start = self._start()
            text = "".join([f"{start}{line[1:]}\n" for line in waiting])
            with contextlib.suppress(OSError):
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:  # then nothing of the text was written
                    self._stream.write(_BEYOND_ASCII.sub(_escaped, text))
                self._stream.flush()

    def _start(self) -> str:
        """How a line begins now: the time, in UTC, is its first member (RFC 3339). A second's text is made once."""
        now = self._clock()
        second, text = self._second
        if now // 1 != second:
            second = now // 1
            text = time.strftime('{"time":"%Y-%m-%dT%H:%M:%S', time.gmtime(second))
            self._second = second, text
        return f'{text}.{int((now - second) * 1000):03}Z",'


def _escaped(characters: re.Match[str]) -> str:
    """The same characters of a JSON string, in ASCII (RFC 8259, section 7)."""
    return json.dumps(characters[0])[1:-1]


def configure_logging() -> JsonLines:
    """Where our loggers and uvicorn's write from now on."""
    lines = JsonLines(sys.stdout)
    # What no line of ours has need not be found out (docs.python.org/3/howto/logging.html#optimization)
    logging._srcfile = None  # noqa: SLF001  the documented way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in ("broker", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [lines], False
        logger.setLevel(logging.INFO)
    return lines
