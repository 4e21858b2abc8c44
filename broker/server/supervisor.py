"""The parent of several worker processes: it starts, replaces and stops them, and serves nothing itself.

Rules of this module
- The parent has the listening sockets. A worker inherits them, so no worker can find its port taken.
- A worker that ends before it has ever answered would fail again: the parent gives up after a few such starts in a row,
  and at once while no worker has answered yet.
- A restart replaces one worker after the other, each when its successor answers.
- Nothing is polled: signals, the ends of workers and their readiness are waited for together.
"""

import json
import logging
import signal
import socket
import sys
import time
from multiprocessing import connection, resource_tracker
from typing import Final

from . import signals
from .exits import Exit
from .uvicorn_server import GRACEFUL_STOP, log_ignored
from .worker import Worker

log = logging.getLogger("broker.cli")

START_WITHIN: Final = 60.0
"""Seconds in which a worker must answer: a busy machine may need many of them."""

STOP_WITHIN: Final = GRACEFUL_STOP + 5.0
"""Seconds in which a worker must have ended, or it is killed."""

FAILED_STARTS_MAX: Final = 5
"""Starts in a row that may fail."""

START_PAUSE: Final = 1.0
"""Seconds between two replacements at least, doubled by each failed start."""

_LOOK: Final = 0.1
"""Seconds after which the clock is read again, while something has a deadline."""


class Supervisor:
    """Keeps ``count`` workers serving at ``listeners`` until it is told to stop. For the main thread of a process."""

    def __init__(self, application: str, count: int, listeners: list[socket.socket]) -> None:
        self._application = application
        self._wanted = count
        self._listeners = listeners
        self._workers: list[Worker] = []
        self._outdated: list[Worker] = []  # which a restart has not yet replaced
        self._successor: Worker | None = None  # of the first outdated one, while it starts
        self._has_served = False
        self._failed_starts = 0
        self._next_start = 0.0
        self._status: Exit | None = None  # the exit status, once it stops

    def run(self) -> int:
        """Supervise; returns the exit status: 0 after a stop, 1 if the workers cannot serve."""
        with signals.readable() as received:
            _start_resource_tracker()
            while self._status is None or self._workers:
                self._tend()
                self._wait(received)
        return self._status

    def _wait(self, received: socket.socket) -> None:
        """Wait for one or more events, and handle them."""
        readiness = [worker.ready for worker in self._workers if not worker.ready.closed]
        ends = [worker.sentinel for worker in self._workers]
        happened = connection.wait([received, *readiness, *ends], self._pause())
        if received in happened:
            for number in sorted(received.recv(64)):  # of two at once the order is not known; Python takes this one
                self._handle(signal.Signals(number))
        for worker in self._workers.copy():
            if worker.ready in happened and worker.becomes_ready():
                self._serves(worker)
            if worker.sentinel in happened:
                self._ended(worker)

    def _pause(self) -> float | None:
        is_quiet = len(self._workers) == self._wanted and all(worker.is_serving for worker in self._workers)
        return None if is_quiet and self._status is None and not self._outdated else _LOOK

    def _tend(self) -> None:
        """Do what is due: kill late workers, start missing ones and the next successor."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.is_late(now):
                _log("broker.worker_killed", pid=worker.pid, reason="it did not start or stop in time")
                worker.kill()
        if self._status is None:
            missing = self._wanted - sum(not worker.is_retired for worker in self._workers)
            if missing > 0 and now >= self._next_start:
                self._start(is_successor=False)
            elif self._outdated and not self._successor and len(self._workers) == self._wanted:
                self._start(is_successor=True)

    def _start(self, *, is_successor: bool) -> None:
        if self._has_served:
            self._next_start = time.monotonic() + START_PAUSE * 2**self._failed_starts
        try:
            with signals.blocked():
                worker = Worker(self._application, self._listeners, START_WITHIN)
        except OSError as error:  # no file descriptor, no memory, or too many processes
            _log("broker.worker_start_failed", reason=error.strerror)
            self._failed(is_successor=is_successor)
            return
        self._workers.append(worker)
        self._successor = worker if is_successor else self._successor

    def _serves(self, worker: Worker) -> None:
        self._has_served = True
        self._failed_starts = 0
        if worker is self._successor:
            self._successor = None
            replaced, self._outdated = self._outdated[:1], self._outdated[1:]
            for old in replaced:  # none, if it has crashed meanwhile
                old.retire(STOP_WITHIN)

    def _ended(self, worker: Worker) -> None:
        is_successor = worker is self._successor
        self._workers.remove(worker)
        self._outdated = [other for other in self._outdated if other is not worker]
        self._successor = None if is_successor else self._successor
        if not worker.is_retired:
            _log("broker.worker_exited", pid=worker.pid, status=worker.status, served=worker.is_serving)
            if not worker.is_serving:
                self._failed(is_successor=is_successor)
        worker.close()

    def _failed(self, *, is_successor: bool) -> None:
        """Count a worker that does not answer. A restart that fails leaves the other workers as they are."""
        if is_successor:
            self._outdated = []
            _log("broker.restart_aborted", remedy="Mend what was reported before, and send SIGHUP again.")
            return
        self._failed_starts += 1
        if not self._has_served or self._failed_starts >= FAILED_STARTS_MAX:
            print("broker: stopped, because its workers cannot serve.", file=sys.stderr, flush=True)
            self._stop(Exit.CANNOT_SERVE)

    def _handle(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGINT if self._status is not None:
                for worker in self._workers:
                    worker.interrupt()
            case signal.SIGINT | signal.SIGTERM:
                self._stop(Exit.STOPPED)
            case signal.SIGHUP:
                self._outdated = [worker for worker in self._workers if not worker.is_retired]
            case signal.SIGTTIN:
                self._wanted += 1
            case signal.SIGTTOU:
                self._shrink()
            case _:
                log_ignored(number)

    def _shrink(self) -> None:
        current = [worker for worker in self._workers if not worker.is_retired]
        if len(current) == self._wanted > 1:
            self._wanted -= 1
            current[-1].retire(STOP_WITHIN)

    def _stop(self, status: Exit) -> None:
        """Let the workers end, and refuse new connections; a stop that is under way keeps its exit status."""
        if self._status is None:
            self._status = status
            for listener in self._listeners:
                listener.close()
            for worker in self._workers:
                worker.retire(STOP_WITHIN)


def _start_resource_tracker() -> None:
    """Start the process by which multiprocessing cleans up, with our signals blocked: a terminal sends it them too.

    It is started here because to start it unblocks signals (CPython, multiprocessing/resource_tracker.py).
    """
    with signals.blocked():
        resource_tracker.ensure_running()


def _log(event: str, **fields: object) -> None:
    log.warning(json.dumps({"event": event, **fields}))
