"""Ports for the servers that tests start."""

import contextlib
import secrets
import socket
from typing import Final

FIRST: Final = 20_000
COUNT: Final = 12_000
"""Ports that no system gives out by itself: one for an outgoing connection could be taken before the server has it."""


def free_ports(count: int) -> int:
    """Return the first of ``count`` consecutive ports that were free a moment ago."""
    while True:
        first = FIRST + secrets.randbelow(COUNT)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def free_port() -> int:
    """Return a port that was free a moment ago."""
    return free_ports(1)
