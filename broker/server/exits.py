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


class StartError(Exception):
    """The command cannot start; the text is one line for the operator, with the remedy."""

    def __init__(self, text: str, status: Exit = Exit.WRONG_CALL) -> None:
        super().__init__(text)
        self.status = status
