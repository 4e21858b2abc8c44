"""Serve a store with configurable latency and faults: ``python -m bench.scale.store PORT``.

``objects`` makes the responses. Latency and faults are configured at run time: ``POST /-/`` with a JSON ``Behaviour``
returns the number of requests of each operation since the previous such request.
"""

import asyncio
import json
import random
import sys
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import httptools
import uvloop

from bench.processes import Server
from bench.store import response

from .objects import Objects, S3Request

CONTROL = "/-/"
UNAVAILABLE = response("503 Service Unavailable", {}, b"<Error><Code>ServiceUnavailable</Code></Error>")


@dataclass(slots=True)
class Behaviour:
    """Latency and faults; each configuration replaces the previous one.

    ``latency`` is in milliseconds; ``latency_of`` overrides it for single operations. ``closed_share`` is the share of
    requests on kept connections that the store reads and then closes the connection without a response. ``outage``
    starts one outage of ``outage_seconds``: ``503`` returns 503, ``close`` closes each connection without a response,
    ``refuse`` resets all connections and refuses new ones.
    """

    latency: float = 0
    latency_of: Mapping[str, float] = field(default_factory=dict)
    closed_share: float = 0
    outage: str = ""
    outage_seconds: float = 0.5


class Store:
    """The state that all connections share."""

    def __init__(self, port: int) -> None:
        self.objects = Objects()
        self.behaviour = Behaviour()
        self.failing = ""
        self.connections: set[Connection] = set()
        self._port = port
        self._server: asyncio.Server | None = None

    async def serve(self) -> None:
        """Serve until the process ends."""
        await self._listen()
        await asyncio.Event().wait()

    def configure(self, document: bytes) -> bytes:
        """Apply a new ``Behaviour``, and return the response with the counts."""
        self.behaviour = Behaviour(**json.loads(document))
        if self.behaviour.outage:
            self._task = asyncio.create_task(self._fail(self.behaviour))
        counted, self.objects.counts = self.objects.counts, Counter()
        return response("200 OK", {"Content-Type": "application/json"}, json.dumps(counted).encode())

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self._port, backlog=1024)

    async def _fail(self, behaviour: Behaviour) -> None:
        self.failing = behaviour.outage
        if self.failing == "refuse" and self._server:
            self._server.close()
            for connection in [*self.connections]:
                connection.abort()
        await asyncio.sleep(behaviour.outage_seconds)
        if self.failing == "refuse":
            await self._listen()
        self.failing = ""


class Connection(asyncio.Protocol):
    """One connection without pipelining. httptools calls the ``on_...`` methods."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._body = b"", b""
        self._fields: dict[str, str] = {}
        self._served = 0

    def abort(self) -> None:
        """Close the connection at once."""
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
            self._transport.write(self._store.configure(self._body))
        elif self._store.failing == "close" or self._shall_close():
            self._transport.close()
        elif self._store.failing == "503":
            self._transport.write(UNAVAILABLE)
        else:
            self._respond(S3Request.of(self._parser.get_method().decode(), target, self._fields))

    def _shall_close(self) -> bool:
        self._served += 1
        return self._served > 1 and random.random() < self._store.behaviour.closed_share

    def _respond(self, request: S3Request) -> None:
        behaviour, operation = self._store.behaviour, request.operation()
        found = self._store.objects.response(request, operation)
        if latency := behaviour.latency_of.get(operation, behaviour.latency):
            asyncio.get_running_loop().call_later(latency / 1_000, self._transport.write, found)
        else:
            self._transport.write(found)


def configure(store: Server, behaviour: Behaviour) -> dict[str, int]:
    """Configure the store, and return the requests of each operation since the previous configuration."""
    document = {name: getattr(behaviour, name) for name in Behaviour.__slots__}
    request = urllib.request.Request(store.url + CONTROL, json.dumps(document).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        counted: dict[str, int] = json.load(response)
    return counted


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Store(int(sys.argv[1])).serve())
