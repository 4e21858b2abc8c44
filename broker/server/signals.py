"""Signals of a process that supervises others: received in order, and kept from the processes that it makes."""

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


@contextmanager
def readable() -> Iterator[socket.socket]:
    """Yield a socket from which each handled signal can be received as one byte, its number.

    The handlers stay until the process ends: a second SIGTERM does not change the exit status.
    """
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)
        sender.setblocking(False)  # signal.set_wakeup_fd demands it
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, _take)
        try:
            yield receiver
        finally:
            signal.set_wakeup_fd(-1)


@contextmanager
def blocked() -> Iterator[None]:
    """Block them, so that a process which is made meanwhile gets none before it can handle it.

    A mask is inherited by fork and exec (POSIX, pthread_sigmask).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take(_number: int, _frame: FrameType | None) -> None:
    """Nothing is left to do: Python has sent the number to the socket, as it does where there is a handler."""
