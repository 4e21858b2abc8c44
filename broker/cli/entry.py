"""Where the process of a command begins."""

import gc
import os
import signal
from types import FrameType


def main() -> int:
    """Run the command of the process's arguments; returns its exit status."""
    gc.disable()  # what is imported stays: to look through it, again and again, is a tenth of the start
    _handle_signals()
    from .main import main as run  # noqa: PLC0415  after that

    return run()


def _handle_signals() -> None:
    """Until there is something to stop, a stop ends the process with status 0. What serves sets other handlers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    names = ("SIGHUP", "SIGUSR1", "SIGUSR2")
    for number in [getattr(signal, name) for name in names if hasattr(signal, name)]:  # Windows has none of them
        signal.signal(number, signal.SIG_IGN)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End at once. An exception could be lost: those in callbacks of weak references are ignored (CPython, weakref)."""
    os._exit(0)
