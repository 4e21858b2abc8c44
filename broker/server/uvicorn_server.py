"""uvicorn's server with the broker's signals, a callback when it is ready, and log lines for refused connections."""

import asyncio
import contextlib
import importlib.util
import json
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any, Final

import uvicorn

from broker.settings import SettingsError

from . import file_descriptors
from .exits import Exit, StartError

log = logging.getLogger("broker.cli")

GRACEFUL_STOP: Final = 15
"""Seconds in which requests in flight may end after a SIGTERM."""

UVICORN_VERSION: Final = "0.54"
"""The minor version that ``uvicorn_internals`` was written for."""

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals that stop the server."""

IGNORED_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
"""Signals that are logged and ignored: by default they kill the process. Windows does not have them."""

WARN_PAUSE: Final = 10.0
"""Seconds between two log lines of one event about connections that cannot be accepted."""

_DESCRIPTORS: Final = "Raise the hard limit of file descriptors (ulimit -Hn, LimitNOFILE), or run more processes."

_TICKS: Final = 10
"""uvicorn's ticks per second."""


def check_uvicorn_version(installed: str = uvicorn.__version__) -> None:
    """Raise ``StartError`` unless uvicorn has the minor version that this package was written for."""
    if installed.split(".")[:2] != UVICORN_VERSION.split("."):
        needed = f"uvicorn {UVICORN_VERSION} is needed, and {installed} is installed"
        raise StartError(f"{needed}: pip install 'uvicorn~={UVICORN_VERSION}.0'")


def server_options() -> dict[str, Any]:
    """Return the arguments of ``uvicorn.Config`` for the service."""
    return {
        "http": "broker.server.protocol:HttpProtocol",
        "ws": "none",
        "loop": "uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        "lifespan": "on",
        "access_log": False,  # broker.web.request_log writes one JSON line for each request, without the query
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": GRACEFUL_STOP,
        "limit_concurrency": file_descriptors.connections_max(),
    }


class Server(uvicorn.Server):
    """A server that handles the signals of its process from its construction to the end of the process.

    ``build`` returns the application, or is the import string of such a function. ``on_ready`` is called when the
    server accepts requests, and ``on_stop`` before it closes its listening sockets. SIGINT and SIGTERM stop the server;
    a second SIGINT ends it without waiting for requests in flight. The constructor must be called in the main thread.
    """

    def __init__(
        self,
        build: Callable[[], Any] | str,
        on_ready: Callable[[], object],
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(uvicorn.Config(build, factory=True, **server_options()))
        self._on_ready, self._on_stop = on_ready, on_stop
        self._ignored: list[int] = []
        self._next_warning: dict[str, float] = {}  # by the monotonic clock
        for number in (*STOP_SIGNALS, *IGNORED_SIGNALS):
            signal.signal(number, self._handle_signal)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Keep the signal handlers; uvicorn would raise the signal again at the end, which kills the process."""
        yield

    def serve_until_stopped(self, listeners: list[socket.socket]) -> Exit:
        """Serve, and return the exit status: 1 after a line on standard error if the server cannot serve."""
        try:
            self.run(listeners)
        except (Exception, SystemExit) as error:  # noqa: BLE001  the operator must see the reason
            print(f"broker: cannot serve: {_reason(error)}.", file=sys.stderr, flush=True)
            return Exit.CANNOT_SERVE
        return Exit.STOPPED

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, with the application's keep-alive period, and call ``on_ready``."""
        state = getattr(self.config.loaded_app, "state", None)
        self.config.timeout_keep_alive = getattr(state, "keep_alive", self.config.timeout_keep_alive)
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Call ``on_stop``, and stop as uvicorn does."""
        self._on_stop()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Log ignored signals ten times a second: logging in a signal handler could interrupt another log line."""
        while self._ignored:
            log_ignored(self._ignored.pop(0))
        if counter % _TICKS == 0:
            self._check_connections()
        return await super().on_tick(counter)

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        if number in STOP_SIGNALS:
            self.handle_exit(number, frame)
        else:
            self._ignored.append(number)

    def _check_connections(self) -> None:
        """Warn if another connection cannot be accepted, which is tested by opening a socket as accept(2) does.

        libuv closes a connection for which there is no file descriptor, and does not report it.
        """
        if len(self.server_state.connections) >= (self.config.limit_concurrency or math.inf):
            self._warn("broker.connection_limit_reached")
        try:
            socket.socket().close()
        except OSError as error:
            self._warn("broker.accept_failed", reason=error.strerror)

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log asyncio's report of a failed accept(2) as an event of the broker, and all others as the loop does."""
        error = context.get("exception")
        if isinstance(error, OSError) and "accept" in context["message"]:
            self._warn("broker.accept_failed", reason=error.strerror)
        else:
            loop.default_exception_handler(context)

    def _warn(self, event: str, **fields: object) -> None:
        """Log an event about file descriptors, at most once in ``WARN_PAUSE`` seconds."""
        now = time.monotonic()
        if now >= self._next_warning.get(event, 0):
            self._next_warning[event] = now + WARN_PAUSE
            line = {"event": event, **fields, "connections": len(self.server_state.connections), "remedy": _DESCRIPTORS}
            log.warning(json.dumps(line))


def _reason(error: BaseException) -> str:
    """Return the text of an exception if it is for the operator: other texts may quote a secret."""
    match error:
        case SettingsError():
            return "; ".join(error.faults)
        case OSError() | ImportError():
            return str(error)
        case SystemExit():  # uvicorn's, where the application does not load or start
            return "the application did not start; the log has the cause"
        case _:
            return f"unexpected {type(error).__name__}"


def log_ignored(number: int) -> None:
    """Log that a signal has no effect, and which signal to send instead."""
    line = {
        "event": "broker.signal_ignored",
        "signal": signal.Signals(number).name,
        "remedy": "Send SIGTERM to stop. To restart, use --workers 2 or more and send SIGHUP to the parent.",
    }
    log.warning(json.dumps(line))
