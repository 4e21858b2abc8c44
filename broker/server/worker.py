"""A process that serves, one of several that a parent supervises: as the parent sees it, and from inside."""

import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from .uvicorn_server import Server

_spawn = multiprocessing.get_context("spawn")


class Worker:
    """A worker as its parent sees it; the constructor starts it.

    ``application`` is the import string of the function that returns the application, as uvicorn reads it.

    The parent must refer to it until it has ended: the pipe that shows a worker that its parent lives is closed with
    the last reference (CPython, multiprocessing/popen_spawn_posix.py).
    """

    def __init__(self, application: str, listeners: list[socket.socket], within: float) -> None:
        self.ready, its_end = _spawn.Pipe(duplex=False)
        self._process = _spawn.Process(target=_child, args=(application, listeners, its_end), daemon=True)
        self._process.start()
        its_end.close()
        self.pid = self._process.pid or 0
        self.sentinel = self._process.sentinel
        self.is_serving = self.is_retired = False
        self._start_by = time.monotonic() + within
        self._stop_by = math.inf

    def becomes_ready(self) -> bool:
        """Receive its message, if it lives to send one."""
        with suppress(EOFError):
            self.ready.recv_bytes()
            self.is_serving = True
            self._start_by = math.inf
        self.ready.close()
        return self.is_serving

    def is_late(self, now: float) -> bool:
        """Whether it should answer or have ended by ``now``, in seconds of the monotonic clock."""
        return now > min(self._start_by, self._stop_by)

    def retire(self, within: float) -> None:
        """Tell it to stop, by ``within`` seconds from now."""
        self.is_retired = True
        self._start_by, self._stop_by = math.inf, time.monotonic() + within
        self._process.terminate()

    def interrupt(self) -> None:
        """Tell it to stop without waiting for requests in flight."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it by force."""
        self._start_by = self._stop_by = math.inf
        self._process.kill()

    @property
    def status(self) -> int | None:
        """The exit status of one that has ended, negative for a signal."""
        self._process.join()
        return self._process.exitcode

    def close(self) -> None:
        """Forget one that has ended."""
        self.ready.close()
        self._process.join()
        self._process.close()


def _child(application: str, listeners: list[socket.socket], ready: Connection) -> None:
    """Serve as a child, and send a message to ``ready`` when it answers.

    The parent has blocked the signals: they are delivered as soon as there is something that handles them.
    """
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    server = Server(application, lambda: ready.send_bytes(b"ready"))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sys.exit(server.serve_until_stopped(listeners))


def _end_with(parent: Any) -> None:
    """End this process at once when its parent has ended, whatever the event loop does."""
    parent.join()  # by a pipe whose write end only the parent has: it is closed by SIGKILL too
    os._exit(1)
