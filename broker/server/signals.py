"""The signals of a process that supervises others: received in order, and blocked while a child starts."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

HANDLED: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
"""Signals that the supervisor receives."""


@contextmanager
def received_by_socket() -> Iterator[socket.socket]:
    """Yield a socket that receives each handled signal as one byte, its number.

    The handlers stay until the process ends, so that a second SIGTERM does not change the exit status.
    """
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)
        sender.setblocking(False)  # signal.set_wakeup_fd requires it
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, _do_nothing)
        try:
            yield receiver
        finally:
            signal.set_wakeup_fd(-1)


@contextmanager
def blocked() -> Iterator[None]:
    """Block the handled signals, so that a child process receives none before it can handle it.

    A signal mask is inherited by fork and exec (POSIX, pthread_sigmask).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: Python has written the number to the socket, which it does only where a handler is set."""
