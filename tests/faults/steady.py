"""A constant load on a broker: requests start at a fixed rate, whether or not earlier ones have ended.

So no delay is hidden: with a closed loop a slow broker would get fewer requests.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiohttp
from yarl import URL

from tests import media
from tests.e2e.processes import token
from tests.web.application import KEY

SIGNINGS = 100
"""Creates and downloads a second, half of each."""

CONFIRMS = 10
"""Confirms a second, each of a new upload."""

LOST = 0
"""The status of a request without a response."""

_TIMEOUT = aiohttp.ClientTimeout(total=90)
_KEPT = 2.0  # seconds; shorter than the server's keep-alive, so that no connection ends while it is used


@dataclass(frozen=True, slots=True)
class Result:
    """One request: its ``kind``, its start and duration in seconds, and its status."""

    kind: str
    began: float
    seconds: float
    status: int

    @property
    def ended(self) -> float:
        """The instant of the response."""
        return self.began + self.seconds


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in flight."""

    kind: str
    began: float
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Load:
    """The results so far, and the requests in flight."""

    seen: list[Result] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Errors of the load itself, which make a run invalid."""

    def of(self, *kinds: str, since: float = 0.0, until: float = float("inf")) -> list[Result]:
        """Return the results that began in that time."""
        return [one for one in self.seen if one.kind in kinds and since <= one.began < until]

    async def wait_for_all(self, before: float) -> None:
        """Wait for the requests that began before an instant."""
        for one in list(self.waiting):
            if one.began < before:
                await one.over.wait()

    @contextlib.contextmanager
    def timed(self, kind: str) -> Iterator[Callable[[int], None]]:
        """Time one request; the yielded function sets its status."""
        status = LOST
        waits = Waiting(kind, time.monotonic())
        self.waiting.append(waits)

        def answered(given: int) -> None:
            nonlocal status
            status = given

        try:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                yield answered
            self.seen.append(Result(kind, waits.began, time.monotonic() - waits.began, status))
        finally:
            self.waiting.remove(waits)
            waits.over.set()


class Client:
    """A client that creates, uploads, confirms and requests links. ``store`` is the address without the proxy.

    It has the token of ``user``, or that of a service.
    """

    def __init__(self, broker: str, store: str, load: Load, user: str | None = None) -> None:
        self._api = f"{broker}/api/v1"
        self._store = URL(store)
        self._load = load
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT), timeout=_TIMEOUT
        )
        self._session._retry_connection = False  # a request that is lost is to be seen
        self.headers = {"Authorization": f"Bearer {_token_of(user)}"}
        self.key = KEY
        """The object to which links are requested."""

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def download(self) -> None:
        """Request a link."""
        await self.send("download", "GET", f"/downloads/{self.key}", self.headers)

    async def create(self) -> dict[str, Any]:
        """Create an upload."""
        return await self.send("create", "POST", "/uploads", self.headers, json=declared())

    async def confirm(self) -> dict[str, Any]:
        """Create an upload, send its bytes and confirm it; return the response document."""
        upload = await self.create()
        if "uploadId" not in upload:
            return upload
        await self.put(upload)
        return await self.send("confirm", "POST", f"/uploads/{upload['uploadId']}/confirm", self.headers)

    async def confirm_multipart(self) -> None:
        """Do the same with a multipart upload of one part."""
        upload = await self.send("begin", "POST", "/uploads", self.headers, json={**declared(), "multipart": True})
        path = f"/uploads/{upload.get('uploadId')}"
        signed = await self.send("parts", "POST", f"{path}/parts", self.headers, json={"partNumbers": [1]})
        for part in signed.get("parts", ()):
            await self.put(part)
            await self.send("confirm", "POST", f"{path}/confirm", self.headers)

    async def send(self, kind: str, method: str, path: str, headers: dict[str, str], **options: Any) -> dict[str, Any]:
        """Send one timed request; return its document, which is empty without a response."""
        document: dict[str, Any] = {}
        with self._load.timed(kind) as answered:
            async with self._session.request(method, self._api + path, headers=headers, **options) as response:
                document = await response.json(content_type=None) or {}
                answered(response.status)
        return document

    async def put(self, upload: dict[str, Any], data: bytes | None = None) -> None:
        """Send the sample, or other bytes, to the store itself, with the Host that was signed."""
        signed = URL(upload["url"], encoded=True)
        straight = signed.with_scheme(self._store.scheme).with_host("127.0.0.1").with_port(self._store.port)
        headers = {**upload["headers"], "Host": signed.authority}
        async with self._session.put(straight, data=data or sample(), headers=headers) as response:
            if response.status != 200:
                self._load.errors.append(f"the store answered an upload with {response.status}")


def declared() -> dict[str, Any]:
    """Return the declaration of the sample."""
    return {"filename": "a.mp3", "contentType": "audio/mpeg", "size": len(sample())}


@cache
def sample() -> bytes:
    """Return a small MP3."""
    return media.mp3(seconds=1, bit_rate=32_000)


@contextlib.asynccontextmanager
async def steady(
    broker: str, store: str, signings: float = SIGNINGS, confirms: float = CONFIRMS
) -> AsyncIterator[Load]:
    """Run the load while the context is open."""
    load = Load()
    client = Client(broker, store, load)
    paces = [(client.download, signings / 2), (client.create, signings / 2), (client.confirm, confirms)]
    async with paced(load, *paces):
        yield load
    await client.close()


Pace = tuple[Callable[[], Coroutine[Any, Any, Any]], float]
"""Work, and how often it begins in a second."""


@contextlib.asynccontextmanager
async def paced(load: Load, *paces: Pace) -> AsyncIterator[None]:
    """Start each work at its rate."""
    running: set[asyncio.Task[Any]] = set()

    def over(task: asyncio.Task[Any]) -> None:
        running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            load.errors.append(f"the load failed: {type(error).__name__}")

    async def pace(work: Callable[[], Coroutine[Any, Any, Any]], rate: float) -> None:
        due = time.monotonic()
        while True:
            task = asyncio.create_task(work())
            running.add(task)
            task.add_done_callback(over)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    pacers = [asyncio.create_task(pace(*each)) for each in paces]
    try:
        yield
    finally:
        for task in (*pacers, *running):
            task.cancel()
        await asyncio.gather(*pacers, *running, return_exceptions=True)


def _token_of(user: str | None) -> str:
    expiry = int(time.time()) + 86_400
    return token(user, exp=expiry) if user else token("backend", scope="broker:service", exp=expiry)
