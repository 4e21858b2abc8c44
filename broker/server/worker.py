"""A worker process: the object by which its parent controls it, and the function that it runs."""

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
    """A worker process, as its parent controls it; the constructor starts the process.

    ``application`` is the import string, as uvicorn reads it, of the function that returns the application. The worker
    must be ready within ``within`` seconds.

    The parent must keep a reference until the worker has ended: with the last reference the pipe closes by which the
    worker notices that its parent has ended (CPython, multiprocessing/popen_spawn_posix.py).
    """

    def __init__(self, application: str, listeners: list[socket.socket], within: float) -> None:
        self.ready, ready_sender = _spawn.Pipe(duplex=False)
        self._process = _spawn.Process(target=_child, args=(application, listeners, ready_sender), daemon=True)
        self._process.start()
        ready_sender.close()
        self.pid = self._process.pid or 0
        self.sentinel = self._process.sentinel
        self.is_serving = self.is_retired = False
        self._start_by = time.monotonic() + within
        self._stop_by = math.inf

    def receive_readiness(self) -> bool:
        """Receive the worker's message, and return whether it is ready; a worker that has ended sent none."""
        with suppress(EOFError):
            self.ready.recv_bytes()
            self.is_serving = True
            self._start_by = math.inf
        self.ready.close()
        return self.is_serving

    def is_overdue(self, now: float) -> bool:
        """Return whether the deadline to be ready or to end is before ``now``, in seconds of the monotonic clock."""
        return now > min(self._start_by, self._stop_by)

    def retire(self, within: float) -> None:
        """Send SIGTERM, and set the deadline to end to ``within`` seconds from now."""
        self.is_retired = True
        self._start_by, self._stop_by = math.inf, time.monotonic() + within
        self._process.terminate()

    def interrupt(self) -> None:
        """Send SIGINT, which ends a stopping worker without waiting for requests in flight."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._start_by = self._stop_by = math.inf
        self._process.kill()

    @property
    def status(self) -> int | None:
        """The exit status of a worker that has ended, negative for a signal."""
        self._process.join()
        return self._process.exitcode

    def close(self) -> None:
        """Release the resources of a worker that has ended."""
        self.ready.close()
        self._process.join()
        self._process.close()


def _child(application: str, listeners: list[socket.socket], ready: Connection) -> None:
    """Run in the worker process: serve, and send a message to ``ready`` when the server accepts requests.

    The parent has blocked the signals; they are unblocked once the server handles them.
    """
    threading.Thread(target=_exit_when_ended, args=(multiprocessing.parent_process(),), daemon=True).start()
    server = Server(application, lambda: ready.send_bytes(b"ready"))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sys.exit(server.serve_until_stopped(listeners))


def _exit_when_ended(parent: Any) -> None:
    """Wait for the parent to end, and then end this process at once, even if the event loop is blocked."""
    parent.join()  # by a pipe whose write end only the parent has; SIGKILL closes it too
    os._exit(1)
