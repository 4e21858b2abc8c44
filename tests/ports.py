"""Ports for servers that a test starts."""

import contextlib
import secrets
import socket
from typing import Final

FIRST: Final = 20_000
COUNT: Final = 12_000
"""Ports that no system gives out by itself: one for an outgoing connection could be taken before the server has it."""


def free_ports(count: int) -> int:
    """The first of so many ports in a row that were free a moment ago."""
    while True:
        first = FIRST + secrets.randbelow(COUNT)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def free_port() -> int:
    """A port that was free a moment ago."""
    return free_ports(1)
