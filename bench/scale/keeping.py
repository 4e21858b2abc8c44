"""F28: lost requests on kept connections: with pauses close to the keep-alive timeout, and at a SIGTERM under load.

A request is lost when it was sent and the connection ended without a response. As HTTP clients do, each client checks
immediately before it sends that the server has not closed the connection. It never retries. For the first row the
broker closes connections that are idle for two seconds, and the pauses differ from that by up to 50 ms. For the second
row each client uses one connection until the broker closes it.
"""

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import Awaitable, Iterable, Iterator

from bench.figures import Effort, Figure, Spread, at_most
from bench.processes import Server
from bench.wrk import Request

from .changed import keep_alive
from .client import Client, encoded
from .store import Behaviour
from .uploads import broker, confirm, create, created, run, store, users

KEPT = 2  # seconds
AROUND = 0.05  # seconds
PAUSING, STOPPED = 600, 32  # clients
STOPS_AFTER = 1.0  # seconds
HEALTH = encoded(Request("/healthz"))


def figures(effort: Effort) -> Iterator[Figure]:
    """Measure F28."""
    with store(Behaviour(latency=100)) as slow:
        with broker(slow, change=(keep_alive, str(KEPT))) as server:
            outcomes = run(paused(server, effort.rounds))
        yield lost("lost requests on kept connections, with pauses close to the keep-alive timeout", outcomes)
        outcomes = []
        for _ in range(effort.rounds // 2):
            with broker(slow) as server:
                outcomes += run(stopped(server))
        yield lost("lost requests at a SIGTERM under load", outcomes)


def lost(measure: str, outcomes: list[bool]) -> Figure:
    """Return one row; each outcome is whether a request succeeded."""
    count = Spread.of([outcomes.count(False)])
    return Figure("F28", measure, at_most(0), count, "", count, Spread.of([len(outcomes)]), "of")


class Kept:
    """One connection of a client that never retries."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._is_last = False

    def is_open(self) -> bool:
        """Whether the server has not closed the connection, as far as this machine knows."""
        try:
            return not self._is_last and self._socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return not self._is_last
        except OSError:
            return False

    async def send(self, request: bytes) -> bool:
        """Send a request, and return whether a whole response came."""
        loop = asyncio.get_running_loop()
        received = b""
        with contextlib.suppress(OSError):
            await loop.sock_sendall(self._socket, request)
            while not _is_whole(received):
                data = await loop.sock_recv(self._socket, 65_536)
                if not data:
                    return False
                received += data
        self._is_last = b"\r\nconnection: close\r\n" in received.lower()
        return _is_whole(received)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length)


async def paused(server: Server, rounds: int) -> list[bool]:
    """Send a request after each pause, and return whether each succeeded."""

    async def client() -> list[bool]:
        await asyncio.sleep(random.uniform(0, KEPT))  # spread the clients
        connection, found = Kept(server.port), list[bool]()
        await connection.send(HEALTH)
        for _ in range(rounds):
            await asyncio.sleep(KEPT + random.uniform(-AROUND, AROUND))
            if not connection.is_open():
                connection.close()
                connection = Kept(server.port)
            found.append(await connection.send(HEALTH))
        connection.close()
        return found

    return await gathered(client() for _ in range(PAUSING))


async def stopped(server: Server) -> list[bool]:
    """Send requests before, during and after a SIGTERM, and return whether each succeeded."""
    client, bearers = Client(server.port), users()[:STOPPED]
    confirms = [encoded(confirm(await created(client, bearer), bearer)) for bearer in bearers]

    async def sender(number: int) -> list[bool]:
        connection, found = Kept(server.port), list[bool]()
        request = confirms[number] if number % 2 else encoded(create(bearers[number]))
        while connection.is_open():
            found.append(await connection.send(request))
        connection.close()
        return found

    asyncio.get_running_loop().call_later(STOPS_AFTER, os.kill, server.pid, signal.SIGTERM)
    outcomes = await gathered(sender(number) for number in range(STOPPED))
    client.close()
    return outcomes


async def gathered(clients: Iterable[Awaitable[list[bool]]]) -> list[bool]:
    """Return the outcomes of all clients in one list."""
    return [outcome for found in await asyncio.gather(*clients) for outcome in found]
