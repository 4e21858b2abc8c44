"""The broker in a process with a change: ``python -m bench.scale.changed CHANGE ARGUMENT serve ...``.

A change is made to what is below the broker, never to the broker, which then starts as ``python -m broker serve``.
"""

import asyncio
import functools
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop

from bench import ours

_LIBUV_LOOKUPS = 2  # at once: half of its four threads are for slow work (docs.libuv.org/en/v1.x/threadpool.html)


Change = Callable[[str], None]


def command(change: Change, argument: str) -> Callable[[int], list[str]]:
    """How such a broker is started at a port."""
    return lambda port: ours.module(__name__, change.__name__, argument, "serve", "--port", str(port))


class Longest:
    """The longest event, in milliseconds. SIGUSR1 has it written to a file, and forgotten.

    The time in which the thread waited for a core of the machine is left out: then the machine was busy with others
    (docs.kernel.org/scheduler/sched-stats.html).
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._statistics = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._took, self._what = 0.0, ""
        signal.signal(signal.SIGUSR1, self._told)

    def now(self) -> int:
        """Nanoseconds, without those in which the thread waited for a core."""
        return time.perf_counter_ns() - int(os.pread(self._statistics, 64, 0).split()[1])

    def ended(self, what: str, since: int) -> None:
        """An event that began at ``since``."""
        took = (self.now() - since) / 1e6
        if took > self._took:
            self._took, self._what = took, what

    def _told(self, _number: int, _frame: object) -> None:
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps([self._took, self._what]))
        written.rename(self._path)
        self._took, self._what = 0.0, ""


def timed(path: str) -> None:
    """Take the time of each event of asyncio's own loop: uvloop, which shows nobody its events, is not to be found."""
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # docs.python.org/3/reference/import.html#the-module-cache
    longest, handle = Longest(path), cast("Any", asyncio.Handle)
    run = handle._run  # noqa: SLF001  there is no other way to be there when it runs

    def taken(self: Any) -> None:
        since, what = longest.now(), repr(self._callback)
        run(self)
        longest.ended(what, since)

    handle._run = taken  # noqa: SLF001  see above


def slow_names(seconds: str) -> None:
    """Let every look-up of a name that is not an address take so long, by either way that leads to one."""
    look_up = socket.getaddrinfo
    lookups = ThreadPoolExecutor(_LIBUV_LOOKUPS)

    def slow(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "localhost":
            time.sleep(float(seconds))
        return look_up(host, *arguments, **named)

    async def by_libuv(self: Any, *arguments: Any, **named: Any) -> Any:
        return await self.run_in_executor(lookups, functools.partial(slow, *arguments, **named))

    socket.getaddrinfo = slow
    cast("Any", uvloop.Loop).getaddrinfo = by_libuv


def keep_alive(seconds: str) -> None:
    """Let the server close a connection that was idle for so many whole seconds."""
    config = cast("Any", uvicorn.Config)
    configure = config.__init__

    def with_it(self: Any, *arguments: Any, **named: Any) -> None:
        configure(self, *arguments, **{**named, "timeout_keep_alive": int(seconds)})

    config.__init__ = with_it


def main(arguments: Sequence[str]) -> None:
    """Make the change, and become the broker."""
    {each.__name__: each for each in (timed, slow_names, keep_alive)}[arguments[0]](arguments[1])
    sys.argv = ["broker", *arguments[2:]]
    runpy.run_module("broker", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
