"""A proxy whose fault lasts: whatever passes while it stands is met by it, on kept connections too.

Of HTTP it knows as much as that a client says something and then waits. The Host header passes unchanged, so that a URL
that was signed for the proxy's address holds at the store. The fault can be changed from any thread at any time.
"""

import asyncio
import contextlib
import os
import socket
import struct
from dataclasses import dataclass

from .threaded import ThreadedServer

CHUNK = 64 * 1024
_LINGER_NOT = struct.pack("ii", 1, 0)


class Fault:
    """None: all bytes pass as they are. Each kind says below what is different."""

    listens = True
    """Whether connections are accepted at all."""
    resets = False
    """Whether those that are accepted are torn down at once."""

    @property
    def keeps(self) -> bool:
        """Whether a connection goes on after an answer in the store's name."""
        return False

    def instead(self, request: bytes) -> bytes | None:  # noqa: ARG002  # a kind's may look at it
        """What is answered in the store's name; ``None`` lets the request pass, empty is silence."""
        return None

    async def pass_back(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass on what the store said; whether the connection goes on."""
        writer.write(data)
        await writer.drain()
        return True


@dataclass(frozen=True, slots=True)
class Latency(Fault):
    """The store answers so many ``seconds`` late."""

    seconds: float

    async def pass_back(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(self.seconds)
        return await Fault.pass_back(self, data, writer)


@dataclass(frozen=True, slots=True)
class Drip(Fault):
    """The answer comes byte by byte, with a ``pause`` in seconds after each."""

    pause: float

    async def pass_back(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        for byte in data:
            await Fault.pass_back(self, bytes([byte]), writer)
            await asyncio.sleep(self.pause)
        return True


@dataclass(frozen=True, slots=True)
class Cut(Fault):
    """The connection ends ``after`` so many bytes of an answer."""

    after: int

    async def pass_back(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        await Fault.pass_back(self, data[: self.after], writer)
        return False


class Reset(Fault):
    """Connections are accepted and torn down."""

    resets = True


class BlackHole(Fault):
    """Connections are accepted, and nothing is ever said."""

    def instead(self, request: bytes) -> bytes:  # noqa: ARG002  # whatever is asked
        return b""

    async def pass_back(self, data: bytes, writer: asyncio.StreamWriter) -> bool:  # noqa: ARG002  # it is lost
        return True


@dataclass(frozen=True, slots=True)
class Mute(Fault):
    """Requests of one ``method`` are never answered; all others are."""

    method: str

    def instead(self, request: bytes) -> bytes | None:
        return b"" if request.startswith(f"{self.method} ".encode()) else None


class Garbage(Fault):
    """Noise is answered that is no HTTP."""

    def instead(self, request: bytes) -> bytes:  # noqa: ARG002  # whatever is asked
        return os.urandom(512)


@dataclass(frozen=True, slots=True)
class Says(Fault):
    """Every request is answered with this ``status``, ``body`` and ``fields``, and reaches nobody."""

    status: int
    body: bytes = b""
    fields: tuple[str, ...] = ("Connection: close",)

    @property
    def keeps(self) -> bool:
        return "Connection: close" not in self.fields

    def instead(self, request: bytes) -> bytes:
        lines = (f"HTTP/1.1 {self.status} Said", f"Content-Length: {len(self.body)}", *self.fields)
        head = "".join(f"{line}\r\n" for line in (*lines, ""))
        return head.encode() + (b"" if request.startswith(b"HEAD ") else self.body)


class Refused(Fault):
    """Nobody listens."""

    listens = False


NONE = Fault()


def s3_error(
    status: int, code: str, message: str = "sent by the proxy", fields: tuple[str, ...] = ("Connection: close",)
) -> Says:
    """An error in the form of S3."""
    return Says(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), fields)


class StandingProxy(ThreadedServer):
    """A proxy to ``host:port`` with one fault at a time; to nobody when there is no need to reach anybody."""

    def __init__(self, host: str = "127.0.0.1", port: int = 9, fault: Fault = NONE) -> None:
        super().__init__()
        self._upstream = (host, port)
        self._fault = fault
        self.asked = 0
        """Requests that came so far, answered or not."""

    def stand(self, fault: Fault) -> None:
        """From now on ``fault`` meets every connection, old and new; ``NONE`` ends it."""
        self._run(self._stand(fault))

    async def _stand(self, fault: Fault) -> None:
        self._fault = fault
        if fault.listens:
            await self._listen()
        if fault.resets or not fault.listens:
            for writer in self._connections.values():
                _reset(writer)
        if not fault.listens:
            await self._close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client; one to the store once something passes."""
        back: asyncio.Task[None] | None = None
        store: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                if self._fault.resets:
                    _reset(writer)
                while data := await reader.read(CHUNK):
                    self.asked += 1
                    fault = self._fault
                    instead = fault.instead(data)
                    if instead is None:
                        if store is None:
                            answers, store = await asyncio.open_connection(*self._upstream)
                            back = asyncio.create_task(self._pass_back(answers, writer))
                        store.write(data)
                        await store.drain()
                    elif instead:
                        writer.write(instead)
                        await writer.drain()
                        if not fault.keeps:
                            writer.close()
        finally:
            if back:
                back.cancel()
            if store:
                store.transport.abort()
            writer.transport.abort()

    async def _pass_back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What the store says, as the fault of that moment has it."""
        with contextlib.suppress(OSError):
            while data := await answers.read(CHUNK):
                if not await self._fault.pass_back(data, writer):
                    break
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()
