"""A proxy with a lasting fault: it applies to all connections, kept ones included, until it ends.

The proxy uses of HTTP only that a client sends a request and then waits. The Host header passes unchanged, so that
a URL that is signed for the proxy's address is valid at the store. The fault can be changed from any thread.
"""

import asyncio
import contextlib
import os
import socket
import struct
from dataclasses import dataclass

from .threaded import ThreadedServer

CHUNK = 64 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)


class Fault:
    """No fault: all bytes pass unchanged. Each subclass states its difference."""

    listens = True
    """Whether connections are accepted at all."""
    resets = False
    """Whether accepted connections are reset at once."""

    @property
    def keeps_connection(self) -> bool:
        """Whether a connection continues after a response of the proxy."""
        return False

    def replacement(self, request: bytes) -> bytes | None:  # noqa: ARG002  # subclasses read it
        """Return the proxy's own response; ``None`` lets the request pass, and empty bytes are silence."""
        return None

    async def forward(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass on bytes of the store; return whether the connection continues."""
        writer.write(data)
        await writer.drain()
        return True


@dataclass(frozen=True, slots=True)
class Latency(Fault):
    """The store responds ``seconds`` late."""

    seconds: float

    async def forward(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(self.seconds)
        return await Fault.forward(self, data, writer)


@dataclass(frozen=True, slots=True)
class Drip(Fault):
    """The response arrives byte by byte, with a ``pause`` in seconds after each."""

    pause: float

    async def forward(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        for byte in data:
            await Fault.forward(self, bytes([byte]), writer)
            await asyncio.sleep(self.pause)
        return True


@dataclass(frozen=True, slots=True)
class Cut(Fault):
    """The connection ends ``after`` so many bytes of a response."""

    after: int

    async def forward(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        await Fault.forward(self, data[: self.after], writer)
        return False


class Reset(Fault):
    """Connections are accepted and reset."""

    resets = True


class BlackHole(Fault):
    """Connections are accepted, and no response is sent."""

    def replacement(self, request: bytes) -> bytes:  # noqa: ARG002  # whatever the request is
        return b""

    async def forward(self, data: bytes, writer: asyncio.StreamWriter) -> bool:  # noqa: ARG002  # the bytes are lost
        return True


@dataclass(frozen=True, slots=True)
class Mute(Fault):
    """Requests of one ``method`` get no response."""

    method: str

    def replacement(self, request: bytes) -> bytes | None:
        return b"" if request.startswith(f"{self.method} ".encode()) else None


class Garbage(Fault):
    """Random bytes instead of an HTTP response."""

    def replacement(self, request: bytes) -> bytes:  # noqa: ARG002  # whatever the request is
        return os.urandom(512)


@dataclass(frozen=True, slots=True)
class FixedResponse(Fault):
    """A fixed response with this ``status``, ``body`` and ``fields``; no request reaches the store."""

    status: int
    body: bytes = b""
    fields: tuple[str, ...] = ("Connection: close",)

    @property
    def keeps_connection(self) -> bool:
        return "Connection: close" not in self.fields

    def replacement(self, request: bytes) -> bytes:
        lines = (f"HTTP/1.1 {self.status} Said", f"Content-Length: {len(self.body)}", *self.fields)
        head = "".join(f"{line}\r\n" for line in (*lines, ""))
        return head.encode() + (b"" if request.startswith(b"HEAD ") else self.body)


class Refused(Fault):
    """The proxy does not listen."""

    listens = False


NONE = Fault()


def s3_error(
    status: int, code: str, message: str = "sent by the proxy", fields: tuple[str, ...] = ("Connection: close",)
) -> FixedResponse:
    """Return an S3 error response."""
    return FixedResponse(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), fields)


class StandingProxy(ThreadedServer):
    """A proxy to ``host:port`` with one fault at a time."""

    def __init__(self, host: str = "127.0.0.1", port: int = 9, fault: Fault = NONE) -> None:
        super().__init__()
        self._upstream = (host, port)
        self._fault = fault
        self.request_count = 0
        """Requests so far, with and without a response."""

    def apply(self, fault: Fault) -> None:
        """Apply ``fault`` to all connections from now on; ``NONE`` ends it."""
        self._run(self._apply(fault))

    async def _apply(self, fault: Fault) -> None:
        self._fault = fault
        if fault.listens:
            await self._listen()
        if fault.resets or not fault.listens:
            for writer in self._connections.values():
                _reset(writer)
        if not fault.listens:
            await self._close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client connection; connect to the store with the first request that passes."""
        back: asyncio.Task[None] | None = None
        store: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                if self._fault.resets:
                    _reset(writer)
                while data := await reader.read(CHUNK):
                    self.request_count += 1
                    fault = self._fault
                    instead = fault.replacement(data)
                    if instead is None:
                        if store is None:
                            answers, store = await asyncio.open_connection(*self._upstream)
                            back = asyncio.create_task(self._forward(answers, writer))
                        store.write(data)
                        await store.drain()
                    elif instead:
                        writer.write(instead)
                        await writer.drain()
                        if not fault.keeps_connection:
                            writer.close()
        finally:
            if back:
                back.cancel()
            if store:
                store.transport.abort()
            writer.transport.abort()

    async def _forward(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on the store's bytes through the current fault."""
        with contextlib.suppress(OSError):
            while data := await answers.read(CHUNK):
                if not await self._fault.forward(data, writer):
                    break
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
