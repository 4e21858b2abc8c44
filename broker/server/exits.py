"""The exit statuses of the ``broker`` command, as in docs/operations.md, and the error that prevents a start."""

from enum import IntEnum


class Exit(IntEnum):
    """The meaning of an exit status."""

    STOPPED = 0
    """A signal stopped the process, or the command has done its work."""

    CANNOT_SERVE = 1
    """The application, its workers or the demo's store did not start."""

    WRONG_CALL = 2
    """The configuration, the command line or the working directory is wrong."""

    CANNOT_LISTEN = 3
    """The address or the port cannot be used."""

    CHECK_FAILED = 4
    """``broker doctor`` found a failure."""

    CHANGES_NEEDED = 5
    """``broker setup`` found that the rules of a bucket must change, and did not change them."""

    NOT_CHANGED = 6
    """``broker setup`` could not read or change the rules of a bucket. They are as they were."""

    HALF_CHANGED = 7
    """``broker setup`` changed rules, failed, and could not restore all of them."""

    INTERRUPTED = 8
    """A signal ended ``broker setup`` or ``broker doctor`` before its end."""


class StartError(Exception):
    """The command cannot start; the text is one line for the operator, with the remedy."""

    def __init__(self, text: str, status: Exit = Exit.WRONG_CALL) -> None:
        super().__init__(text)
        self.status = status
