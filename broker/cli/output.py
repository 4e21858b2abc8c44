"""Standard output of the commands, whose reader may end first and whose disk may be full."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class OutputError(Exception):
    """Standard output cannot be written. The text has the reason."""


def write_line(text: str) -> None:
    """Print a line; raise ``OutputError``. Characters that the encoding does not have become question marks."""
    if sys.stdout is None:  # the descriptor was closed from the start
        raise OutputError("the output cannot be written: it is closed")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding))
    except OSError as error:
        raise failure(error) from None


def flush() -> None:
    """Write what is held back; raise ``OutputError``."""
    try:
        if sys.stdout:  # None if the descriptor was closed from the start
            sys.stdout.flush()
    except OSError as error:
        raise failure(error) from None


@contextmanager
def flushed() -> Iterator[None]:
    """Write at the end, however it is reached, what is held back; raise ``OutputError``."""
    try:
        yield
    finally:
        flush()


def failure(error: OSError) -> OutputError:
    """Return the error for a failure of standard output, and discard what it holds back.

    Otherwise the interpreter writes it once more at its end, fails, and replaces the exit status by 120
    (CPython, library/signal, "Note on SIGPIPE").
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return OutputError(f"the output cannot be written: {error.strerror}")
