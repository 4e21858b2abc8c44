"""``broker serve`` at a Unix socket, and at a socket that another process opened."""

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import stat
import subprocess
from http import HTTPStatus
from pathlib import Path

import pytest

from broker.server.exits import Exit
from tests.patience import PATIENCE, becomes
from tests.store.wire import silence_then, wire
from tests.web.application import KEY

from .processes import BROKER, JWT_SECRET, Broker, inherited, token
from .test_process import NOWHERE, OBJECT, serving_workers, workers


class UnixBroker(Broker):
    """A broker at the Unix socket ``broker.sock`` in its folder."""

    path: Path

    def place(self) -> list[str]:
        """Return the path."""
        self.path = self._folder / "broker.sock"
        return ["--uds", str(self.path)]

    def responds(self) -> bool:
        """Return whether it responds at its socket."""
        try:
            return self.status("/healthz") == HTTPStatus.OK
        except OSError:
            return False

    def status(self, path: str) -> int:
        """GET ``path`` as a user on a new connection, and return the status of the response."""
        with contextlib.closing(UnixConnection(self.path)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token()}"})
            return connection.getresponse().status


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("broker.example", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class HeirBroker(Broker):
    """A broker that inherits a listening socket."""

    listener: socket.socket

    def place(self) -> list[str]:
        """Open the socket, and return its descriptor."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.inherits = (self.listener.fileno(),)
        return ["--fd", str(self.listener.fileno())]


def opened(broker: Broker) -> list[dict[str, object]]:
    """Return the log lines of its listening sockets."""
    return [line for line in broker.lines() if line["event"] == "broker.listener_opened"]


def refusal(folder: Path, *options: str) -> tuple[int, str]:
    """Return the exit status and the text of a start that fails."""
    line = [*BROKER, "serve", *options]
    variables = {**inherited(), **NOWHERE, "JWT_SECRET": JWT_SECRET}
    done = subprocess.run(
        line, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stderr


async def test_unix_socket_serves_and_stops(tmp_path: Path) -> None:
    """A stop removes the file at once, completes the request in flight, and ends with the status of a stop."""
    async with wire(silence_then(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as store:
        environment = {**NOWHERE, "R2_ENDPOINT": f"http://127.0.0.1:{store.port}"}
        with UnixBroker(tmp_path, environment) as broker:
            (line,) = opened(broker)
            assert (line["path"], "address" in line) == (str(broker.path), False)
            assert broker.status(f"/api/v1/downloads/{KEY}") == 200
            status, text = refusal(tmp_path, "--uds", str(broker.path))
            assert (status, "another process uses this socket" in text) == (Exit.CANNOT_LISTEN, True)
            in_flight = asyncio.create_task(asyncio.to_thread(broker.status, OBJECT))
            await becomes(lambda: len(store.requests) == 1)
            broker.process.send_signal(signal.SIGTERM)
            await becomes(lambda: not broker.path.exists())
            assert await in_flight == 404
            assert await asyncio.to_thread(broker.process.wait, PATIENCE) == Exit.STOPPED


async def test_workers_share_the_unix_socket(tmp_path: Path) -> None:
    """Two workers serve at the file that a killed broker left; lost ones are replaced, and a stop removes the file."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "broker.sock"))
    with UnixBroker(tmp_path, NOWHERE, "--workers", "2") as broker:
        before = await serving_workers(broker)
        assert stat.S_ISSOCK(broker.path.stat().st_mode)
        os.kill(min(before), signal.SIGKILL)
        await becomes(lambda: len(workers(broker) - {min(before)}) == 2)
        assert [broker.status(f"/api/v1/downloads/{KEY}") for _ in range(20)] == [200] * 20
        broker.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(broker.process.wait, PATIENCE) == Exit.STOPPED
        assert not broker.path.exists()


@pytest.mark.parametrize("count", ["1", "2"])
def test_inherited_socket_serves(tmp_path: Path, count: str) -> None:
    """A broker serves at the socket that it inherits, which stays open for the next one after its stop."""
    with HeirBroker(tmp_path, NOWHERE, "--workers", count) as broker, broker.client() as client:
        (line,) = opened(broker)
        assert (line["address"], line["port"]) == ("127.0.0.1", broker.port)
        assert client.get(f"/downloads/{KEY}").status_code == 200
        broker.process.send_signal(signal.SIGTERM)
        assert broker.process.wait(PATIENCE) == Exit.STOPPED
        with broker.listener, socket.create_connection(("127.0.0.1", broker.port)):
            pass
