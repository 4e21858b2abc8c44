"""Where the log's lines go: a pipe that may be full, a terminal that is stopped, a slow disk, a disk without space.

Rules of this module
- Only the thread of a sink ever waits for the descriptor. Who hands over a line waits for nothing.
- The descriptor stays as it is: O_NONBLOCK belongs to the open file description, which other processes share, such as
  the shell at the same terminal (POSIX, open and dup).
- A line that was begun is completed. What fails is repeated from the byte at which it stopped.
- A write is large. After each, the thread waits for the interpreter's lock, and wakes up whenever the event loop
  releases it: writes of 4 KiB cost an eighth of a request.
"""

import contextlib
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Condition, Lock, Thread
from typing import Final

LIMIT: Final = 4 * 1024 * 1024
"""Bytes of lines that may wait."""

PAUSE: Final = 0.05
"""Seconds between two writes, in which lines gather: a thread that runs for each line would cost more than the line."""

RETRY: Final = 0.5
"""Seconds from a write that failed to the next."""

_BATCH: Final = 256 * 1024
_PIPE_BUF: Final = getattr(select, "PIPE_BUF", 512)
"""Bytes that stay together in a pipe without a lock, too (POSIX, write); 512 is the least allowed."""


class LogWriter:
    """Writes lines to ``descriptor`` from a thread of its own, in their order and each of them whole.

    When more than ``limit`` bytes wait, the oldest lines are dropped: when the descriptor takes bytes again, the log
    goes on without a gap up to the present. ``notice`` returns the line that stands in the place of so many lines.
    """

    def __init__(self, descriptor: int, notice: Callable[[int], bytes], *, limit: int = LIMIT) -> None:
        self._descriptor = descriptor
        self._notice = notice
        self._limit = limit
        self._most = sys.maxsize if _is_lockable(descriptor) else _PIPE_BUF
        self._reset()

    def _reset(self) -> None:
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._missing = 0
        self._idle = False
        self.dropped = 0
        """Lines dropped since the process began."""

    def start(self) -> None:
        """Start the thread. In a forked child start anew: it has no thread, and the waiting lines are its parent's."""
        self._reset()
        Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Hand over a line, with its newline."""
        with self._lock:
            self._waiting.append(line)
            self._size += len(line)
            if self._size > self._limit:
                self._drop()
            if self._idle:
                self._idle = False
                self._changed.notify_all()

    def flush(self, seconds: float) -> None:
        """Wait until all lines are written, at most so long."""
        with self._lock:
            self._changed.wait_for(lambda: self._idle, seconds)

    def _drop(self) -> None:
        while self._size > self._limit:
            self._size -= len(self._waiting.popleft())
            self._missing += 1
            self.dropped += 1

    def _run(self) -> None:
        while True:
            lines = self._take()
            with _alone(self._descriptor):
                for chunk in _chunks(lines, self._most):
                    _write(self._descriptor, chunk)
            if self._size < _BATCH:
                time.sleep(PAUSE)

    def _take(self) -> list[bytes]:
        """Wait for lines; the oldest of them, behind the notice of those that are missing."""
        with self._lock:
            if not (self._waiting or self._missing):
                self._idle = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._idle)
            lines = [self._notice(self._missing)] if self._missing else []
            self._missing = 0
            size = self._size
            while self._waiting and size - self._size < _BATCH:
                lines.append(self._waiting.popleft())
                self._size -= len(lines[-1])
            return lines


def _is_lockable(descriptor: int) -> bool:
    """Whether processes that share the descriptor can exclude each other, so that a write may be of any size."""
    try:
        _lockf(descriptor, "LOCK_EX", "LOCK_NB")
    except (BlockingIOError, PermissionError):  # another process has locked it: either, says POSIX
        return True
    except (ImportError, OSError):  # macOS has no lock for pipes
        return False
    _lockf(descriptor, "LOCK_UN")
    return True


def _lockf(descriptor: int, *flags: str) -> None:
    """Lock or unlock the whole of what the descriptor refers to, from byte 0.

    The range must not depend on the offset of a file, which is another one after a write: then a part stays locked.
    """
    import fcntl  # noqa: PLC0415  Windows does not have it

    fcntl.lockf(descriptor, sum(getattr(fcntl, flag) for flag in flags), 0, 0, os.SEEK_SET)


def _chunks(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Join lines up to so many bytes. A longer line is a chunk by itself."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > most:
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    yield b"".join(chunk)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it, however long that takes."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process has set O_NONBLOCK
            _until_writable(descriptor)
        except OSError:  # no space, no reader, no terminal: each may come back
            time.sleep(RETRY)


@contextlib.contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """Keep other processes of the broker from writing meanwhile, so that their lines stay whole."""
    with contextlib.suppress(ImportError, OSError):
        _lockf(descriptor, "LOCK_EX")
    yield
    with contextlib.suppress(ImportError, OSError):
        _lockf(descriptor, "LOCK_UN")


def _until_writable(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll(RETRY * 1000)
