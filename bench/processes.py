"""Servers as child processes, and their use of the machine, read from ``/proc`` (Linux)."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_START_WITHIN = 60.0  # seconds
_ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves ``port``, with its child processes."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """The root URL."""
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        """Return the CPU time so far, in seconds, in user mode and in the kernel."""
        return sum(sum(map(int, _stat(pid)[11:13])) for pid in self._all()) / _TICK

    def resident(self) -> int:
        """Return the resident memory, in bytes."""
        return sum(int(_stat(pid)[21]) for pid in self._all()) * os.sysconf("SC_PAGE_SIZE")

    def _all(self) -> list[int]:
        """Return the ids of the process and of all its descendants."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on. The second one may contain spaces (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(
    command: Sequence[str], port: int, environment: Mapping[str, str], *, output: int | None = None
) -> Iterator[Server]:
    """Start ``command``, wait until it responds, and stop it at the end. ``output`` defaults to a file."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=log if output is None else output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, port)
            yield Server(process.pid, port)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait for any response: some servers accept connections long before they are ready."""
    deadline = time.monotonic() + _START_WITHIN
    while True:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=_START_WITHIN) as probe,
        ):
            probe.sendall(_ASK)
            if probe.recv(1):
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not respond")
        time.sleep(0.002)
