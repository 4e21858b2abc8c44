"""A proxy that records the requests to the store, and interrupts connections.

Bytes pass unchanged, with the Host header, so that a URL that is signed for the proxy's address is valid at the
store. A fault applies to one request: the first that matches uses it up. Everything runs in a thread of its own.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from .threaded import ThreadedServer

CHUNK = 64 * 1024
_GONE = (asyncio.IncompleteReadError, ConnectionError, OSError)


@dataclass
class RequestCycle:
    """A request to the store: the body bytes that arrived, and the status of the response, if there was one."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    received: int = 0
    status: int | None = None
    is_over: bool = False

    @property
    def part(self) -> int | None:
        """The part number, if the request sends a part."""
        return int(self.query["partNumber"]) if self.method == "PUT" and "partNumber" in self.query else None


@dataclass
class Fault:
    """A fault of the first request that ``fits``."""

    fits: Callable[[RequestCycle], bool]
    cut_after: int | None = None
    """Bytes of the body after which the connection ends."""
    loses_answer: bool = False
    """The store performs the request, and only the start of its response arrives.

    Without any byte of a response, Chromium would repeat the request without the page.
    """
    held: threading.Event | None = None
    """The request is passed on when this is set."""
    answer_held: threading.Event | None = None
    """The store performs the request, and its response is passed on when this is set."""
    happened: threading.Event = field(default_factory=threading.Event)


class FaultProxy(ThreadedServer):
    """A proxy to ``host:port`` of a store."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._upstream = (host, port)
        self._faults: list[Fault] = []
        self._held: list[threading.Event] = []
        self.exchanges: list[RequestCycle] = []
        self.pause = 0.0
        """Seconds before each 64 KiB of a body."""

    def next(self, fault: Fault) -> Fault:
        """Apply ``fault`` to the next request that fits."""
        self._faults.append(fault)
        self._held += [event for event in (fault.held, fault.answer_held) if event]
        return fault

    def stored_parts(self) -> list[tuple[str, int]]:
        """Return the S3 UploadId and number of each part that the store accepted, repeated ones included."""
        done = [exchange for exchange in self.exchanges if exchange.part and exchange.status == 200]
        return [(exchange.query["uploadId"], exchange.part or 0) for exchange in done]

    async def _close(self) -> None:
        """End all connections, those of held requests too: their threads would wait for ever."""
        for event in self._held:
            event.set()
        await super()._close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client connection, with one connection to the store."""
        try:
            with contextlib.suppress(*_GONE):
                store = await asyncio.open_connection(*self._upstream)
                try:
                    while await self._exchange(reader, writer, *store):
                        pass
                finally:
                    store[1].transport.abort()
        finally:
            writer.transport.abort()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        responses: asyncio.StreamReader,
        store: asyncio.StreamWriter,
    ) -> bool:
        """Pass one request and its response; return whether another one may follow."""
        head = await reader.readuntil(b"\r\n\r\n")
        exchange = _parsed(head)
        fault = self._fault_for(exchange)
        if fault and fault.held:
            fault.happened.set()
            await asyncio.to_thread(fault.held.wait)
        self.exchanges.append(exchange)
        store.write(head)
        try:
            return await self._forward(exchange, fault, reader, writer, responses, store)
        finally:
            exchange.is_over = True

    async def _forward(
        self,
        exchange: RequestCycle,
        fault: Fault | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        responses: asyncio.StreamReader,
        store: asyncio.StreamWriter,
    ) -> bool:
        """Pass the body of a request and the response; return whether another request may follow."""
        end = int(exchange.headers.get("content-length", "0"))
        limit = end if fault is None or fault.cut_after is None else min(end, fault.cut_after)
        # A store may refuse a request before it has read the body.
        response = asyncio.ensure_future(responses.readuntil(b"\r\n\r\n"))
        try:
            while exchange.received < limit and not response.done():
                chunk = await reader.read(min(CHUNK, limit - exchange.received))
                if not chunk:
                    return False
                await asyncio.sleep(self.pause)
                store.write(chunk)
                await store.drain()
                exchange.received += len(chunk)
            if fault and fault.cut_after is not None:
                fault.happened.set()
                return False
            response_head = await response
        finally:
            response.cancel()
        exchange.status = int(response_head.split(b" ", 2)[1])
        if fault and fault.answer_held:
            fault.happened.set()
            await asyncio.to_thread(fault.answer_held.wait)
        if fault and fault.loses_answer:
            fault.happened.set()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
            await writer.drain()
            return False
        writer.write(response_head)
        await _pass_body(exchange, response_head, responses, writer)
        await writer.drain()
        return exchange.received == end

    def _fault_for(self, exchange: RequestCycle) -> Fault | None:
        for fault in self._faults:
            if fault.fits(exchange):
                self._faults.remove(fault)
                return fault
        return None


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def _parsed(head: bytes) -> RequestCycle:
    method, target, _ = head.decode("latin-1").split(" ", 2)
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return RequestCycle(method, parts.path, query, _fields(head))


async def _pass_body(
    exchange: RequestCycle, response_head: bytes, responses: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Pass a response body, by length or by chunks (RFC 9112, section 6.3)."""
    fields = _fields(response_head)
    if exchange.method == "HEAD" or exchange.status in (204, 304):
        return
    if "chunked" in fields.get("transfer-encoding", ""):
        size = -1
        while size:
            line = await responses.readuntil(b"\r\n")
            size = int(line, 16)
            writer.write(line + await responses.readexactly(size + 2))
            await writer.drain()
        return
    left = int(fields.get("content-length", "0"))
    while left:
        chunk = await responses.read(min(CHUNK, left))
        if not chunk:
            raise ConnectionResetError
        left -= len(chunk)
        writer.write(chunk)
        await writer.drain()
