"""A store that is late and fails as it is told: ``python -m bench.scale.store PORT``.

What it answers stands in ``objects``. How late, and how it fails, is told to it while it runs, by a POST of JSON to
``/-/`` (``Orders``), which is answered with how often each operation was asked for since the one before.
"""

import asyncio
import json
import random
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

import httptools
import uvloop

from bench.processes import Server
from bench.store import answer

from .objects import Asked, Objects

CONTROL = "/-/"
UNAVAILABLE = answer("503 Service Unavailable", {}, b"<Error><Code>ServiceUnavailable</Code></Error>")


@dataclass(slots=True)
class Orders:
    """What the store was told. Each order stands until the next one.

    ``late`` is in milliseconds, ``late_for`` the same by operation. ``closing`` is the share of requests on which a
    kept connection is closed in place of an answer. ``outage`` is how it fails for half a second, once: ``503``,
    ``close`` (without an answer) or ``refuse`` (nobody listens).
    """

    late: float = 0
    late_for: Mapping[str, float] = field(default_factory=dict)
    closing: float = 0
    outage: str = ""
    outage_seconds: float = 0.5


class Store:
    """The state that all connections share."""

    def __init__(self, port: int) -> None:
        self.objects = Objects()
        self.orders = Orders()
        self.failing = ""
        self.connections: set[Connection] = set()
        self._port = port
        self._server: asyncio.Server | None = None

    async def serve(self) -> None:
        """Until the process ends."""
        await self._listen()
        await asyncio.Event().wait()

    def told(self, document: bytes) -> bytes:
        """Take new orders; the answer to them."""
        self.orders = Orders(**json.loads(document))
        if self.orders.outage:
            self._task = asyncio.create_task(self._fail(self.orders))
        counted, self.objects.asked = self.objects.asked, type(self.objects.asked)()
        return answer("200 OK", {"Content-Type": "application/json"}, json.dumps(counted).encode())

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self._port, backlog=1024)

    async def _fail(self, orders: Orders) -> None:
        self.failing = orders.outage
        if self.failing == "refuse" and self._server:
            self._server.close()
            for connection in [*self.connections]:
                connection.abort()
        await asyncio.sleep(orders.outage_seconds)
        if self.failing == "refuse":
            await self._listen()
        self.failing = ""


class Connection(asyncio.Protocol):
    """One connection, whose requests do not overlap. httptools calls ``on_...``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._body = b"", b""
        self._fields: dict[str, str] = {}
        self._served = 0

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a socket
        self._transport = transport
        self._store.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._store.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._target, self._body, self._fields = b"", b"", {}

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        target = self._target.decode()
        if target == CONTROL:
            self._transport.write(self._store.told(self._body))
        elif self._store.failing == "close" or self._is_closed_now():
            self._transport.close()
        elif self._store.failing == "503":
            self._transport.write(UNAVAILABLE)
        else:
            self._answer(Asked.of(self._parser.get_method().decode(), target, self._fields))

    def _is_closed_now(self) -> bool:
        self._served += 1
        return self._served > 1 and random.random() < self._store.orders.closing

    def _answer(self, asked: Asked) -> None:
        orders, operation = self._store.orders, asked.operation()
        found = self._store.objects.answer(asked, operation)
        if late := orders.late_for.get(operation, orders.late):
            asyncio.get_running_loop().call_later(late / 1_000, self._transport.write, found)
        else:
            self._transport.write(found)


def tell(store: Server, orders: Orders) -> dict[str, int]:
    """Give the orders; how often each operation was asked for since the last ones."""
    document = {name: getattr(orders, name) for name in Orders.__slots__}
    request = urllib.request.Request(store.url + CONTROL, json.dumps(document).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        counted: dict[str, int] = json.load(response)
    return counted


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Store(int(sys.argv[1])).serve())
