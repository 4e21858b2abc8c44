"""The exit statuses of the command, as docs/operations.md lists them, and what prevents a start."""

from enum import IntEnum


class Exit(IntEnum):
    """What the end of the process means."""

    STOPPED = 0
    """It was told to stop."""

    CANNOT_SERVE = 1
    """The application, its workers or the demo's store did not start."""

    WRONG_CALL = 2
    """The configuration or the call is wrong, or the place in which it was started."""

    CANNOT_LISTEN = 3
    """The address or the port cannot be used."""


class StartError(Exception):
    """The command cannot start; the text is one line for the operator, with the remedy."""

    def __init__(self, text: str, status: Exit = Exit.WRONG_CALL) -> None:
        super().__init__(text)
        self.status = status
