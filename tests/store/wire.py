"""A server on a real socket that sends exactly the given bytes, and records its requests."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

Act = Callable[[str, asyncio.StreamWriter], Awaitable[None]]

GONE = (asyncio.IncompleteReadError, ConnectionError)


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """Return an HTTP response with the length of its body, unless the headers have another."""
    lines = {"Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


def error(status: int, code: str, headers: dict[str, str] | None = None) -> bytes:
    """Return an S3 error as a store sends it, with text that must not be repeated."""
    echo = "<CanonicalRequest>GET /bucket/key X-Amz-Signature=0123</CanonicalRequest>"
    body = f"<Error><Code>{code}</Code><Message>told by 127.0.0.1</Message>{echo}</Error>"
    return answer(status, headers, body.encode())


def fit(request: str, data: bytes) -> bytes:
    """Return the response without its body if the request is a HEAD."""
    head, end, _ = data.partition(b"\r\n\r\n")
    return head + end if request.startswith("HEAD ") else data


def says(data: bytes) -> Act:
    """Send these bytes and close the connection."""

    async def act(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(fit(request, data))
        await writer.drain()
        writer.close()

    return act


def keeps(data: bytes) -> Act:
    """Send these bytes and keep the connection."""

    async def act(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(fit(request, data))

    return act


def silence_then(data: bytes) -> Act:
    """Send these bytes after 0.4 seconds."""

    async def act(request: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        await says(data)(request, writer)

    return act


def drips(data: bytes, pause: float) -> Act:
    """Send these bytes one by one."""

    async def act(request: str, writer: asyncio.StreamWriter) -> None:
        for byte in fit(request, data):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return act


def endless(head: bytes, chunk: bytes) -> Act:
    """Send ``head``, then ``chunk`` for as long as the client reads."""

    async def act(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    return act


def resets(data: bytes = b"") -> Act:
    """Send these bytes and reset the connection."""

    async def act(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(fit(request, data))
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return act


async def silence(_request: str, _writer: asyncio.StreamWriter) -> None:
    """Send nothing."""
    await asyncio.Event().wait()


class Wire:
    """A server that handles each request by the next act, and all further requests by the last one."""

    def __init__(self, *acts: Act) -> None:
        self.acts = acts
        self.connections = 0
        self.requests: list[str] = []
        self.open = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self.open += 1
        with contextlib.suppress(*GONE):
            while not writer.is_closing():
                request = await _request(reader)
                self.requests.append(request)
                await self.acts[min(len(self.requests), len(self.acts)) - 1](request, writer)
        self.open -= 1
        if not writer.is_closing():  # Python 3.11.2 loses its hold on a TLS connection that is closed twice
            writer.close()


async def _request(reader: asyncio.StreamReader) -> str:
    """Read one request; return it without its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    for line in head.lower().split("\r\n"):
        if line.startswith("content-length:"):
            await reader.readexactly(int(line.removeprefix("content-length:")))
    return head


@asynccontextmanager
async def wire(*acts: Act, tls: SSLContext | None = None) -> AsyncIterator[Wire]:
    """Start a ``Wire`` that listens on loopback."""
    there = Wire(*acts)
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.ensure_future(there.serve(reader, writer))] = writer

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
        for _ in range(3):  # turns of the loop from accept(2) to ``connected``
            await asyncio.sleep(0)
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.gather(*connections, return_exceptions=True)
