"""A redis-server of the tests, on a Unix socket or a port, which can be killed and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.patience import PATIENCE, until


class RedisServer:
    """A server in the foreground; it ends with the ``with`` block. ``options`` are added to its command line."""

    def __init__(self, *options: str, port: int = 0) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redis"))  # the path of a socket has at most 107 bytes
        self.socket = self._folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._options = ["--port", str(port), "--unixsocket", str(self.socket), "--dir", str(self._folder), *options]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server, and wait until it responds."""
        program = shutil.which("redis-server")
        assert program, "apt-get install redis-server"
        self.socket.unlink(missing_ok=True)
        command = [program, "--save", "", "--appendonly", "no", "--daemonize", "no", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.socket.exists)

    def kill(self) -> None:
        """Kill the server, as ``kill -9`` does."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self) -> None:
        """Stop the server, which then accepts connections and responds to nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stopped server run again."""
        os.kill(self._process.pid, signal.SIGCONT)
