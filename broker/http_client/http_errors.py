"""Errors of the HTTP client. Their texts are fixed and contain no address, so they may be logged.

Errors of the operating system and of TLS (refused, reset, unknown host, invalid certificate) stay ``OSError``.
"""


class HttpError(Exception):
    """The server did not send a complete and valid response."""


class MalformedResponseError(HttpError):
    """The response is not valid HTTP/1.1, or exceeds a limit."""


class ServerDisconnectedError(HttpError):
    """The connection ended before the response was complete (RFC 9112 section 8)."""

    def __init__(self) -> None:
        super().__init__("the connection ended before the response was complete")


class KeptConnectionLostError(HttpError):
    """A reused connection ended before the response, which is not a failure of the server (RFC 9112 section 9.3.1)."""

    def __init__(self) -> None:
        super().__init__("the kept connection has ended")


class ConnectionTimeoutError(TimeoutError):
    """No connection was established within the limit."""
