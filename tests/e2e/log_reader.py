"""A reader of a broker's log that can stop, as a log shipper does when its server is down."""

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import Any


class Reader:
    """A reader of a named pipe that can stop and continue."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._source = os.open(path, os.O_RDWR)  # so that no end of file is read before the broker opens it (fifo(7))
        fcntl.fcntl(self._source, fcntl.F_SETPIPE_SZ, 4096)
        self._running = threading.Event()
        self._found = bytearray()
        self._lines: list[dict[str, Any]] = []
        self._parsed = 0
        threading.Thread(target=self._read, daemon=True).start()

    def read(self) -> None:
        """Start reading, or continue."""
        self._running.set()

    def stop(self) -> None:
        """Stop reading from the pipe."""
        self._running.clear()

    def lines(self) -> list[dict[str, Any]]:
        """Return all whole lines so far."""
        end = self._found.rfind(b"\n") + 1
        self._lines += [json.loads(line) for line in self._found[self._parsed : end].splitlines()]
        self._parsed = end
        return self._lines

    def accounted(self) -> int:
        """Return the number of requests that have a line or are in a count of dropped lines."""
        return sum(line.get("count", line["event"] == "broker.request_completed") for line in self.lines())

    def _read(self) -> None:
        self._running.wait()
        while True:
            self._found += os.read(self._source, 4096)
            self._running.wait()
