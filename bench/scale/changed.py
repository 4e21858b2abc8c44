"""Run the broker in a process with one change: ``python -m bench.scale.changed CHANGE ARGUMENT serve ...``.

A change replaces a function of the standard library, of uvicorn or of uvloop, never one of the broker. The broker then
starts as ``python -m broker serve`` does.
"""

import asyncio
import functools
import gc
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop

from bench import ours

# libuv resolves names in at most half of its four threads: src/threadpool.c, slow_work_thread_threshold
_LOOK_UPS_AT_ONCE = 2

Change = Callable[[str], None]


def command(change: Change, argument: str) -> Callable[[int], list[str]]:
    """Return the command that starts such a broker, as a function of its port."""
    return lambda port: ours.module(__name__, change.__name__, argument, "serve", "--port", str(port))


class Longest:
    """The longest event of the loop, in milliseconds. SIGRTMIN writes it to a file and resets it.

    The time in which the thread waited for a CPU core is subtracted, because other processes cause it
    (docs.kernel.org/scheduler/sched-stats.html).
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._statistics = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._collected = False
        self._milliseconds, self._name = 0.0, ""
        signal.signal(signal.SIGRTMIN, self._write)
        gc.callbacks.append(self._note_collection)

    def start(self) -> int:
        """Begin an event, and return its instant for ``end``."""
        self._collected = False
        return self._now()

    def end(self, since: int, name: str) -> None:
        """End the event that began at ``since``."""
        milliseconds = (self._now() - since) / 1e6
        if milliseconds > self._milliseconds:
            self._milliseconds = milliseconds
            self._name = f"{name}, with a full garbage collection" if self._collected else name

    def _now(self) -> int:
        return time.perf_counter_ns() - int(os.pread(self._statistics, 64, 0).split()[1])

    def _note_collection(self, _phase: str, details: Mapping[str, int]) -> None:
        self._collected |= details["generation"] == 2

    def _write(self, _number: int, _frame: object) -> None:
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps([self._milliseconds, self._name]))
        written.rename(self._path)
        self._milliseconds, self._name = 0.0, ""


def timed(path: str) -> None:
    """Measure each event of asyncio's own loop. uvloop has no hook for its events, so its import is made to fail."""
    # docs.python.org/3/reference/import.html#the-module-cache
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    longest, handle = Longest(path), cast("Any", asyncio.Handle)
    run = handle._run  # noqa: SLF001  CPython's loop has no public hook either

    def measured(self: Any) -> None:
        name, since = repr(self._callback), longest.start()
        run(self)
        longest.end(since, name)

    handle._run = measured  # noqa: SLF001  see above


def slow_names(seconds: str) -> None:
    """Delay each lookup of ``localhost`` by ``seconds``, both by the standard library and by uvloop."""
    look_up = socket.getaddrinfo
    threads = ThreadPoolExecutor(_LOOK_UPS_AT_ONCE)

    def slow(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "localhost":
            time.sleep(float(seconds))
        return look_up(host, *arguments, **named)

    async def by_libuv(self: Any, *arguments: Any, **named: Any) -> Any:
        return await self.run_in_executor(threads, functools.partial(slow, *arguments, **named))

    socket.getaddrinfo = slow
    cast("Any", uvloop.Loop).getaddrinfo = by_libuv


def keep_alive(seconds: str) -> None:
    """Set uvicorn's keep-alive timeout to a whole number of ``seconds``."""
    config = cast("Any", uvicorn.Config)
    configure = config.__init__

    def configured(self: Any, *arguments: Any, **named: Any) -> None:
        configure(self, *arguments, **{**named, "timeout_keep_alive": int(seconds)})

    config.__init__ = configured


def main(arguments: Sequence[str]) -> None:
    """Apply the change, then run the broker."""
    {each.__name__: each for each in (timed, slow_names, keep_alive)}[arguments[0]](arguments[1])
    sys.argv = ["broker", *arguments[2:]]
    runpy.run_module("broker", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
