"""The log: one JSON line a record on standard output, each with the time at which it was made.

The handler passes each line to a ``LogWriter`` and does not wait. All loggers of the process use it, those of libraries
too: what they would otherwise write to standard error could stop the event loop.
"""

import contextlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from .log_writer import LIMIT, LogWriter

END_WITHIN: Final = 1.0
"""Seconds that the end of the process waits for lines to be written."""

_STDOUT: Final = 1


class JsonLogHandler(logging.Handler):
    """Writes to ``descriptor``. Our records are JSON already; others' become the ``message`` of one.

    ``clock`` returns the seconds since 1970. Every line gets the time as its first member. At most ``limit`` bytes of
    lines wait for the descriptor.
    """

    def __init__(self, descriptor: int, *, clock: Callable[[], float] = time.time, limit: int = LIMIT) -> None:
        super().__init__()
        self._clock = clock
        self._start = (-1, "")
        self._ends_at = math.inf
        self._sink = LogWriter(descriptor, self._dropped, limit=limit)
        self._sink.start()

    def dropped(self) -> int:
        """Lines that were dropped since the process began."""
        return self._sink.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over the record's line. Once the process ends, wait for it: it may be the last."""
        self.write(self.format(record))
        if self._ends_at < math.inf:
            self.flush()

    def format(self, record: logging.LogRecord) -> str:
        """Type and no words of an exception: they may quote what must not be written down."""
        text = _message(record)
        if text.startswith('{"event":'):
            return text
        line: dict[str, Any] = {
            "event": "broker.message_logged",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0]:
            line["type"] = record.exc_info[0].__name__
        return json.dumps({**line, "message": text})

    def write(self, line: str) -> None:
        """Hand over ``line``, a JSON object that is not empty. Never waits for the descriptor."""
        self._sink.put(self._timed(line))

    def flush(self) -> None:
        """The process ends: wait for what is not yet written. All calls together take at most ``END_WITHIN``."""
        now = time.monotonic()
        self._ends_at = min(self._ends_at, now + END_WITHIN)
        self._sink.flush(max(0.0, self._ends_at - now))

    def restart(self) -> None:
        """Go on in a process that was forked."""
        self._sink.start()

    def _dropped(self, count: int) -> bytes:
        return self._timed(json.dumps({"event": "broker.log_lines_dropped", "count": count}))

    def _timed(self, line: str) -> bytes:
        """The line with the time, in UTC, as its first member (RFC 3339). A millisecond's text is made once.

        What UTF-8 does not have, a lone surrogate, is escaped as JSON does it (RFC 8259, sections 7 and 8.2).
        """
        now = int(self._clock() * 1000)
        made, start = self._start
        if now != made:
            start = time.strftime('{"time":"%Y-%m-%dT%H:%M:%S', time.gmtime(now // 1000)) + f'.{now % 1000:03}Z",'
            self._start = now, start
        return f"{start}{line[1:]}\n".encode(errors="backslashreplace")


def _message(record: logging.LogRecord) -> str:
    """The text of a record. Whoever logs is not to fail by a record whose arguments do not fit."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        text = str(record.msg)
    # The further lines show objects, exceptions with their words among them (CPython, asyncio/base_events.py)
    return text.partition("\n")[0] if record.name == "asyncio" else text


def configure_logging() -> JsonLogHandler:
    """Where all loggers of this process write from now on; the same when it is called again."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, JsonLogHandler):
            return handler
    # Where standard output is closed, a connection could become descriptor 1, and receive the log
    lines = JsonLogHandler(_STDOUT if sys.stdout else os.open(os.devnull, os.O_WRONLY))
    with contextlib.suppress(AttributeError):  # Windows does not fork
        os.register_at_fork(after_in_child=lines.restart)
    # What no line of ours has need not be found out (docs.python.org/3/howto/logging.html#optimization)
    logging._srcfile = None  # noqa: SLF001  the documented way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)
    root.handlers = [lines]
    for name in ("broker", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
    return lines
