"""The writer of the log's lines, to a descriptor that may block or fail.

Examples are a full pipe, a stopped terminal, a slow disk and a full disk.

Rules of this module
- Only the writer's thread waits for the descriptor. A call of ``put`` never waits for it.
- O_NONBLOCK is not set: it belongs to the open file description, which other processes share, such as the shell at
  the same terminal (POSIX, open and dup).
- A started line is completed. A failed write is retried from the byte at which it stopped.
- A write is large. After each write the thread waits for the interpreter's lock, and wakes up whenever the event loop
  releases it: writes of 4 KiB cost an eighth of a request.
"""

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from threading import Condition, Lock, Thread
from typing import Final

BUFFER_MAX: Final = 4 * 1024 * 1024
"""Maximum bytes of lines that wait to be written."""

BATCH_INTERVAL: Final = 0.05
"""Seconds between two writes, in which lines gather: to run the thread for each line costs more than the line."""

RETRY_INTERVAL: Final = 0.5
"""Seconds between a failed write and the next attempt."""

_BACKLOG: Final = 256 * 1024
"""Bytes of waiting lines that are written without the interval."""

_PIPE_BUF: Final = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes as a whole without a lock (POSIX, write); POSIX requires 512 or more."""


class LogWriter:
    """A thread that writes lines to ``descriptor``, in order and each as a whole.

    When more than ``limit`` bytes wait, the oldest lines are dropped, so that the newest are written when the
    descriptor works again. ``notice`` returns the line that replaces a number of dropped lines.
    """

    def __init__(self, descriptor: int, notice: Callable[[int], bytes], *, limit: int = BUFFER_MAX) -> None:
        self._descriptor = descriptor
        self._notice = notice
        self._limit = limit
        self._write_max = sys.maxsize if _is_lockable(descriptor) else _PIPE_BUF
        self._reset()

    def _reset(self) -> None:
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._waiting = bytearray()
        self._unreported = 0
        self._is_idle = False
        self.dropped = 0
        """Lines dropped since the start of the process."""

    def start(self) -> None:
        """Start the thread with an empty buffer; a forked child has no thread, and the buffer of its parent."""
        self._reset()
        Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Add a line, which ends with its only newline."""
        with self._lock:
            self._waiting += line
            if len(self._waiting) > self._limit:
                self._drop()
            if self._is_idle:
                self._is_idle = False
                self._changed.notify_all()

    def flush(self, seconds: float) -> None:
        """Wait for at most ``seconds`` until all lines are written."""
        with self._lock:
            self._changed.wait_for(lambda: self._is_idle, seconds)

    def _drop(self) -> None:
        """Drop as many of the oldest lines as are over the limit."""
        end = self._waiting.index(b"\n", len(self._waiting) - self._limit - 1) + 1
        count = self._waiting.count(b"\n", 0, end)
        del self._waiting[:end]
        self._unreported += count
        self.dropped += count

    def _run(self) -> None:
        while True:
            lines = self._next_batch()
            with _exclusive_lock(self._descriptor):
                for chunk in _chunks(lines, self._write_max):
                    _write(self._descriptor, chunk)
            if len(self._waiting) < _BACKLOG:
                time.sleep(BATCH_INTERVAL)

    def _next_batch(self) -> bytes:
        """Wait for lines, and return all of them behind the notice of dropped lines."""
        with self._lock:
            if not (self._waiting or self._unreported):
                self._is_idle = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._is_idle)
            notice = self._notice(self._unreported) if self._unreported else b""
            self._unreported = 0
            lines, self._waiting = self._waiting, bytearray()
            return notice + lines


def _is_lockable(descriptor: int) -> bool:
    """Return whether processes can lock the descriptor that they share, so that a write may have any size."""
    try:
        _lockf(descriptor, "LOCK_EX", "LOCK_NB")
    except (BlockingIOError, PermissionError):  # another process has locked it (POSIX allows either error)
        return True
    except (ImportError, OSError):  # macOS has no lock for pipes
        return False
    _lockf(descriptor, "LOCK_UN")
    return True


def _lockf(descriptor: int, *flags: str) -> None:
    """Lock or unlock the whole file of the descriptor, from byte 0.

    A range that begins at the file's offset would leave a part locked, since a write changes the offset.
    """
    import fcntl  # noqa: PLC0415  Windows does not have it

    fcntl.lockf(descriptor, sum(getattr(fcntl, flag) for flag in flags), 0, 0, os.SEEK_SET)


def _chunks(lines: bytes, size_max: int) -> Iterator[bytes]:
    """Yield chunks of whole lines, of at most ``size_max`` bytes; a longer line is a chunk of its own."""
    start = 0
    while start < len(lines):
        end = start + size_max
        if end < len(lines):
            end = lines.rfind(b"\n", start, end) + 1 or lines.index(b"\n", start) + 1
        yield lines[start:end]
        start = end


def _write(descriptor: int, data: bytes) -> None:
    """Write all of the data, and retry without end."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process has set O_NONBLOCK
            _wait_until_writable(descriptor)
        except OSError:  # no space, no reader or no terminal, which may change
            time.sleep(RETRY_INTERVAL)


@contextlib.contextmanager
def _exclusive_lock(descriptor: int) -> Iterator[None]:
    """Prevent other processes of the broker from writing meanwhile, so that no line is torn."""
    with contextlib.suppress(ImportError, OSError):
        _lockf(descriptor, "LOCK_EX")
    yield
    with contextlib.suppress(ImportError, OSError):
        _lockf(descriptor, "LOCK_UN")


def _wait_until_writable(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll(RETRY_INTERVAL * 1000)
