"""The parent of several worker processes: it starts, replaces and stops them, and serves no requests itself.

Rules of this module
- The parent opens the listening sockets and the workers inherit them, so a worker's port is never taken.
- A worker that ends before it was ready would probably fail again: the parent stops after a few such starts in a row,
  and at once as long as no worker has been ready.
- A restart replaces one worker after the other, each when its successor is ready.
- The parent waits for signals, for the ends of workers and for their readiness together, and does not poll them.
"""

import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing import connection, resource_tracker
from typing import Final

from . import signals
from .exits import Exit
from .uvicorn_server import GRACEFUL_STOP, log_ignored
from .worker import Worker

log = logging.getLogger("broker.cli")

START_WITHIN: Final = 60.0
"""Seconds in which a worker must be ready; a start on a busy machine is slow."""

STOP_WITHIN: Final = GRACEFUL_STOP + 5.0
"""Seconds after which a worker that was stopped is killed."""

FAILED_STARTS_MAX: Final = 5
"""Failed starts in a row after which the parent stops."""

START_PAUSE: Final = 1.0
"""Seconds between two replacements at least; each failed start doubles them."""

_DEADLINE_CHECK_INTERVAL: Final = 0.1
"""Seconds between two checks of the deadlines of workers."""


class Supervisor:
    """A supervisor that keeps ``count`` workers serving at ``listeners``. It must run in the main thread.

    ``on_ready`` is called when the first worker accepts requests, ``on_stop`` before the listeners are closed.
    """

    def __init__(
        self,
        application: str,
        count: int,
        listeners: list[socket.socket],
        on_ready: Callable[[], object],
        on_stop: Callable[[], object],
    ) -> None:
        self._application = application
        self._target_count = count
        self._listeners = listeners
        self._on_ready, self._on_stop = on_ready, on_stop
        self._workers: list[Worker] = []
        self._outdated: list[Worker] = []  # a restart has still to replace them
        self._successor: Worker | None = None  # of the first outdated worker, while it starts
        self._was_ready = False
        self._failed_starts = 0
        self._next_start = 0.0
        self._status: Exit | None = None  # set by the stop

    def run(self) -> int:
        """Supervise until stopped; return the exit status: 0 after a stop, 1 if the workers cannot serve."""
        with signals.received_by_socket() as received:
            _start_resource_tracker()
            while self._status is None or self._workers:
                self._reconcile()
                self._wait(received)
        return self._status

    def _wait(self, received: socket.socket) -> None:
        """Wait for events, and handle them."""
        readiness = [worker.ready for worker in self._workers if not worker.ready.closed]
        ends = [worker.sentinel for worker in self._workers]
        events = connection.wait([received, *readiness, *ends], self._wait_timeout())
        if received in events:
            for number in sorted(received.recv(64)):  # by number, as Python handles simultaneous signals
                self._handle_signal(signal.Signals(number))
        for worker in self._workers.copy():
            if worker.ready in events and worker.receive_readiness():
                self._on_worker_ready(worker)
            if worker.sentinel in events:
                self._on_exit(worker)

    def _wait_timeout(self) -> float | None:
        is_quiet = len(self._workers) == self._target_count and all(worker.is_serving for worker in self._workers)
        return None if is_quiet and self._status is None and not self._outdated else _DEADLINE_CHECK_INTERVAL

    def _reconcile(self) -> None:
        """Kill overdue workers; start missing ones, or the next successor of a restart."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.is_overdue(now):
                _log("broker.worker_killed", pid=worker.pid, reason="it did not start or stop in time")
                worker.kill()
        if self._status is None:
            missing = self._target_count - sum(not worker.is_retired for worker in self._workers)
            if missing > 0 and now >= self._next_start:
                self._start(is_successor=False)
            elif self._outdated and not self._successor and len(self._workers) == self._target_count:
                self._start(is_successor=True)

    def _start(self, *, is_successor: bool) -> None:
        if self._was_ready:
            self._next_start = time.monotonic() + START_PAUSE * 2**self._failed_starts
        try:
            with signals.blocked():
                worker = Worker(self._application, self._listeners, START_WITHIN)
        except OSError as error:  # no file descriptors, no memory, or too many processes
            _log("broker.worker_start_failed", reason=error.strerror)
            self._count_failed_start(is_successor=is_successor)
            return
        self._workers.append(worker)
        self._successor = worker if is_successor else self._successor

    def _on_worker_ready(self, worker: Worker) -> None:
        if not self._was_ready:
            self._on_ready()
        self._was_ready = True
        self._failed_starts = 0
        if worker is self._successor:
            self._successor = None
            replaced, self._outdated = self._outdated[:1], self._outdated[1:]
            for old in replaced:  # empty if the old worker has crashed
                old.retire(STOP_WITHIN)

    def _on_exit(self, worker: Worker) -> None:
        is_successor = worker is self._successor
        self._workers.remove(worker)
        self._outdated = [other for other in self._outdated if other is not worker]
        self._successor = None if is_successor else self._successor
        if not worker.is_retired:
            _log("broker.worker_exited", pid=worker.pid, status=worker.status, served=worker.is_serving)
            if not worker.is_serving:
                self._count_failed_start(is_successor=is_successor)
        worker.close()

    def _count_failed_start(self, *, is_successor: bool) -> None:
        """Count a worker that did not become ready; a successor's failure ends the restart and no worker."""
        if is_successor:
            self._outdated = []
            _log("broker.restart_aborted", remedy="Correct the fault that was logged before, and send SIGHUP again.")
            return
        self._failed_starts += 1
        if not self._was_ready or self._failed_starts >= FAILED_STARTS_MAX:
            print("broker: stopped, because its workers cannot serve.", file=sys.stderr, flush=True)
            self._stop(Exit.CANNOT_SERVE)

    def _handle_signal(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGINT if self._status is not None:
                for worker in self._workers:
                    worker.interrupt()
            case signal.SIGINT | signal.SIGTERM:
                self._stop(Exit.STOPPED)
            case signal.SIGHUP:
                self._outdated = [worker for worker in self._workers if not worker.is_retired]
            case signal.SIGTTIN:
                self._target_count += 1
            case signal.SIGTTOU:
                self._shrink()
            case _:
                log_ignored(number)

    def _shrink(self) -> None:
        current = [worker for worker in self._workers if not worker.is_retired]
        if len(current) == self._target_count > 1:
            self._target_count -= 1
            current[-1].retire(STOP_WITHIN)

    def _stop(self, status: Exit) -> None:
        """Stop the workers, and refuse new connections; a second stop does not change the exit status."""
        if self._status is None:
            self._status = status
            self._on_stop()
            for listener in self._listeners:
                listener.close()
            for worker in self._workers:
                worker.retire(STOP_WITHIN)


def _start_resource_tracker() -> None:
    """Start the process by which multiprocessing cleans up, with the handled signals blocked.

    A terminal sends the signals to that process too. Its later start by multiprocessing would unblock them (CPython,
    multiprocessing/resource_tracker.py).
    """
    with signals.blocked():
        resource_tracker.ensure_running()


def _log(event: str, **fields: object) -> None:
    log.warning(json.dumps({"event": event, **fields}))
