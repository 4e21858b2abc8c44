"""The start and the end of a command's process: garbage collection, signals and the log.

Importing this module loads little, so that signals are handled from the first moment.
"""

import gc
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .exits import Exit


@contextmanager
def command_process(*, is_service: bool) -> Iterator[None]:
    """Run a command without garbage collection until ``finish_start``, and write the log at its end.

    Until the command sets other handlers, SIGINT and SIGTERM end the process, and the signals that would kill it are
    ignored. A service has then stopped on request; any other command has not done its work.
    """
    gc.disable()  # imported modules are never garbage, and collecting them takes a tenth of the start
    _handle_signals(_stop if is_service else _interrupt)
    try:
        yield
    finally:
        gc.enable()
        logging.shutdown()


def finish_start() -> None:
    """Exempt the loaded objects from garbage collection, and enable it."""
    gc.freeze()
    gc.enable()


def _handle_signals(end: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    names = ("SIGHUP", "SIGUSR1", "SIGUSR2")
    for number in [getattr(signal, name) for name in names if hasattr(signal, name)]:  # Windows does not have them
        signal.signal(number, signal.SIG_IGN)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End the process at once: an exception would be ignored in a callback of a weak reference (CPython, weakref)."""
    os._exit(Exit.STOPPED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End a command at once that has not done anything yet, with a message."""
    os.write(2, b"broker: interrupted before anything was done\n")
    os._exit(Exit.INTERRUPTED)
