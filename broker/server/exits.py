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
    """``broker doctor`` found a failure, or ``broker reconcile`` a key without an object."""

    CHANGES_NEEDED = 5
    """``broker setup`` found rules to change, or ``broker reconcile`` objects to delete, and did not do it."""

    NOT_CHANGED = 6
    """``broker setup`` could not read or change rules, or ``broker reconcile`` objects. They are as they were."""

    HALF_CHANGED = 7
    """``broker setup`` changed rules and could not restore all, or ``broker reconcile`` deleted only some objects."""

    INTERRUPTED = 8
    """A signal ended ``broker setup``, ``broker doctor`` or ``broker reconcile`` before its end."""


class StartError(Exception):
    """The command cannot start; the text is one line for the operator, with the remedy."""

    def __init__(self, text: str, status: Exit = Exit.WRONG_CALL) -> None:
        super().__init__(text)
        self.status = status
