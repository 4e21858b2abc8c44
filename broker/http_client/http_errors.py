"""Why there is no answer. The texts may go to a log as the names may: they are fixed, and hold no address.

What the system says (refused, reset, no such name, a certificate that is none) stays the ``OSError`` that it is.
"""


class HttpError(Exception):
    """The other side answered nothing that is an answer."""


class MalformedResponseError(HttpError):
    """What came is no HTTP/1.1, or more of it than anybody needs."""


class ServerDisconnectedError(HttpError):
    """The connection ended before the answer did (RFC 9112, section 8)."""

    def __init__(self) -> None:
        super().__init__("the connection ended before the response was complete")


class KeptConnectionLostError(HttpError):
    """A connection that was kept from an earlier request has ended. It says nothing of the other side."""

    def __init__(self) -> None:
        super().__init__("the kept connection has ended")


class ConnectionTimeoutError(TimeoutError):
    """No connection was made in time."""
