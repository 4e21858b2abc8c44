"""The log: one JSON line for each record, with its time, on standard output.

The handler passes each line to a ``LogWriter`` and does not wait. All loggers of the process use it, also those of
libraries: a write to standard error could block the event loop.
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

from .log_writer import BUFFER_MAX, LogWriter

END_WITHIN: Final = 1.0
"""Seconds for which the end of the process waits until the lines are written."""

_STDOUT: Final = 1


class JsonLogHandler(logging.Handler):
    """A handler that writes JSON lines to ``descriptor``.

    The broker's records are JSON already. The text of any other record becomes the ``message`` of a JSON line.
    ``clock`` returns the seconds since 1970. The time is the first member of every line. At most ``limit`` bytes of
    lines wait for the descriptor.
    """

    def __init__(self, descriptor: int, *, clock: Callable[[], float] = time.time, limit: int = BUFFER_MAX) -> None:
        super().__init__()
        self._clock = clock
        self._time_text = (-1, b"")
        self._ends_at = math.inf
        self._writer = LogWriter(descriptor, self._drop_notice, limit=limit)
        self._writer.start()

    def lines_dropped(self) -> int:
        """Return the number of lines dropped since the start of the process."""
        return self._writer.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line; while the process ends, wait for it, because it may be the last.

        A lone surrogate, which UTF-8 cannot encode, is escaped as in JSON (RFC 8259, sections 7 and 8.2).
        """
        self.write(self.format(record).encode(errors="backslashreplace"))
        if self._ends_at < math.inf:
            self.flush()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON, with the type of its exception but not the text, which may quote a secret."""
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

    def write(self, line: bytes) -> None:
        """Write ``line``, a JSON object that is not empty, without waiting for the descriptor."""
        self._writer.put(self._with_time(line))

    def flush(self) -> None:
        """Wait at the end of the process until the lines are written: at most ``END_WITHIN`` for all calls together."""
        now = time.monotonic()
        self._ends_at = min(self._ends_at, now + END_WITHIN)
        self._writer.flush(max(0.0, self._ends_at - now))

    def restart(self) -> None:
        """Start a new writer thread in a forked child."""
        self._writer.start()

    def _drop_notice(self, count: int) -> bytes:
        return self._with_time(json.dumps({"event": "broker.log_lines_dropped", "count": count}).encode())

    def _with_time(self, line: bytes) -> bytes:
        """Return the line with the UTC time as its first member (RFC 3339). The text of a millisecond is cached."""
        now = int(self._clock() * 1000)
        cached, start = self._time_text
        if now != cached:
            second = time.strftime('{"time":"%Y-%m-%dT%H:%M:%S', time.gmtime(now // 1000))
            start = f'{second}.{now % 1000:03}Z",'.encode()
            self._time_text = now, start
        return b"%b%b\n" % (start, line[1:])


def _message(record: logging.LogRecord) -> str:
    """Return the text of a record, without its arguments if they do not fit: logging must not fail."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        text = str(record.msg)
    # The other lines show objects, also exceptions with their text (CPython, asyncio/base_events.py)
    return text.partition("\n")[0] if record.name == "asyncio" else text


def configure_logging() -> JsonLogHandler:
    """Make all loggers of this process write by one handler, and return it; a second call returns the same."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, JsonLogHandler):
            return handler
    # If standard output is closed, a socket could become descriptor 1 and receive the log
    installed = JsonLogHandler(_STDOUT if sys.stdout else os.open(os.devnull, os.O_WRONLY))
    with contextlib.suppress(AttributeError):  # Windows does not fork
        os.register_at_fork(after_in_child=installed.restart)
    # No line uses these fields of a record (docs.python.org/3/howto/logging.html#optimization)
    logging._srcfile = None  # noqa: SLF001  documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)
    root.handlers = [installed]
    for name in ("broker", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
    return installed
