"""The memory of one worker by kept connections and by users: ``python -m bench.memory`` prints a table (Linux).

Each connection has sent one create and is idle. The first connections and users, which fill caches of fixed size, are
not counted.
"""

import contextlib
import socket
from collections.abc import Iterator

from . import ours
from .processes import Server
from .wrk import Request

FIRST = 500
CONNECTIONS = 5_000
FIRST_USERS = 5_000  # more than the cache of verified tokens holds
USERS = 20_000


@contextlib.contextmanager
def connected(server: Server, count: int) -> Iterator[None]:
    """Keep so many connections, each of which has sent one create."""
    with contextlib.ExitStack() as stack:
        message = _message(ours.create(ours.token()))
        for _ in range(count):
            _send(stack.enter_context(socket.create_connection(("127.0.0.1", server.port))), message)
        yield


def requested(server: Server, first: int, count: int) -> None:
    """Send a create of each user, from the user ``first`` on."""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        for number in range(first, first + count):
            _send(client, _message(ours.create(ours.token(f"user-{number}"))))


def _message(request: Request) -> bytes:
    head = {"Host": "127.0.0.1", **request.headers, "Content-Length": str(len(request.body))}
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + request.body.encode()


def _send(client: socket.socket, message: bytes) -> None:
    client.sendall(message)
    if not client.recv(65_536).startswith(b"HTTP/1.1 201"):
        raise RuntimeError("The create failed.")


def main() -> None:
    """Measure, and print the table."""
    with ours.broker() as server, connected(server, FIRST):
        before = server.resident()
        with connected(server, CONNECTIONS):
            each_connection = (server.resident() - before) / CONNECTIONS
    with ours.broker() as server:
        requested(server, 0, FIRST_USERS)
        before = server.resident()
        requested(server, FIRST_USERS, USERS)
        each_user = (server.resident() - before) / USERS
    print("| memory of one worker grows with | bytes each |\n|---|---|")
    print(f"| kept connections ({CONNECTIONS:,}) | {each_connection:,.0f} |")
    print(f"| users with a rate limit ({USERS:,}) | {each_user:,.0f} |")


if __name__ == "__main__":
    main()
