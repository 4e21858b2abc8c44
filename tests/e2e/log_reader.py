"""A reader of a broker's log that can stop, as a log shipper does whose server is away."""

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import Any


class Reader:
    """Reads a named pipe, stops, and reads on."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._source = os.open(path, os.O_RDWR)  # so that there is no end before the broker opens it (fifo(7))
        fcntl.fcntl(self._source, fcntl.F_SETPIPE_SZ, 4096)
        self._goes_on = threading.Event()
        self._found = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def read(self) -> None:
        """From now on."""
        self._goes_on.set()

    def stop(self) -> None:
        """Take no more from the pipe."""
        self._goes_on.clear()

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines so far."""
        whole, _, _ = self._found.rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]

    def accounted(self) -> int:
        """The requests that have a line, or are in a count of dropped lines."""
        return sum(line.get("count", line["event"] == "broker.request_completed") for line in self.lines())

    def _read(self) -> None:
        self._goes_on.wait()
        while True:
            self._found += os.read(self._source, 4096)
            self._goes_on.wait()
