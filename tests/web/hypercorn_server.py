"""The application under hypercorn, an ASGI server independent of this project."""

import asyncio
import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx2
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.types import ASGIApp

from tests.patience import PATIENCE
from tests.ports import free_ports

CHOSEN = "BROKER_TESTS_ASGI_SERVER"
"""The environment variable by which the tests of the application run under another server."""

_ITERATIONS = 5
"""Iterations of the event loop in which the application ends a request after its response."""

_open: list["HypercornClient"] = []


def is_chosen() -> bool:
    """Return whether the tests run under hypercorn."""
    return os.environ.get(CHOSEN) == "hypercorn"


def close_all() -> None:
    """Close the clients of a test, and stop their servers."""
    while _open:
        _open.pop().close()


class HypercornClient(httpx2.Client):
    """A client of ``app``, which runs under hypercorn until the client is closed."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app = app
        self._server = _Server(app)
        url = f"http://127.0.0.1:{self._server.port}"
        super().__init__(base_url=url, headers=dict(headers), timeout=PATIENCE, trust_env=False)
        _open.append(self)

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request, and return its response once the application has ended the request."""
        response = super().send(request, **options)
        self._server.iterate(_ITERATIONS)
        return response

    def close(self) -> None:
        """Close the connections, and stop the server."""
        super().close()
        self._server.stop()

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close it at the end of a ``with`` block."""
        super().__exit__(exc_type, exc_value, traceback)
        self.close()


class _Server:
    def __init__(self, app: ASGIApp) -> None:
        self.port = free_ports(1)
        self._is_started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(app)), daemon=True)
        self._thread.start()
        assert self._is_started.wait(PATIENCE)

    async def _serve(self, app: ASGIApp) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        config = Config.from_mapping(bind=[f"127.0.0.1:{self.port}"], errorlog=None, graceful_timeout=0.1)
        serving: Any = serve
        task = asyncio.create_task(serving(app, config, shutdown_trigger=self._stop.wait))
        while not await _is_listening(self.port):  # noqa: ASYNC110  hypercorn has no event for it
            await asyncio.sleep(0.01)
        self._is_started.set()
        await task

    def iterate(self, times: int) -> None:
        for _ in range(times):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(PATIENCE)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
