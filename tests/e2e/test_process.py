"""Requests while ``broker serve`` is stopped, killed, restarted or short of resources."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.server.exits import Exit
from broker.server.protocol import HEAD_DEADLINE
from broker.server.uvicorn_server import GRACEFUL_STOP, server_options
from tests.patience import PATIENCE, SLACK, becomes
from tests.store.wire import silence, silence_then, wire
from tests.web.application import ENVIRONMENT, KEY
from tests.web.running_server import Connection

from .load import load
from .processes import BROKER, Broker, token

NOWHERE = {**ENVIRONMENT, "R2_ENDPOINT": "http://127.0.0.1:9"}
HOST = b"Host: broker.example\r\n"
OBJECT = f"/api/v1/objects/{KEY}"


def workers(broker: Broker) -> set[int]:
    """Return the process ids of the workers."""
    children = Path(f"/proc/{broker.process.pid}/task/{broker.process.pid}/children").read_text(encoding="ascii")
    return {int(child) for child in children.split() if b"spawn_main" in _command(child)}


def _command(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return b""


async def all_workers(broker: Broker) -> set[int]:
    """Wait for two workers."""
    await becomes(lambda: len(workers(broker)) == 2)
    return workers(broker)


async def serving_workers(broker: Broker) -> set[int]:
    """Wait until two workers serve."""
    await becomes(lambda: broker.written().count("Application startup complete") == 2)
    return workers(broker)


async def restarted(broker: Broker, old: Collection[int]) -> set[int]:
    """Send SIGHUP, and wait for two workers that are not in ``old``."""
    broker.process.send_signal(signal.SIGHUP)
    await becomes(lambda: len(workers(broker).difference(old)) == 2)
    return workers(broker).difference(old)


def rss(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def request(method: str, path: str, *fields: str, body: bytes = b"", **claims: str) -> bytes:
    """Return the bytes of a request with a valid token."""
    lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {token(**claims)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[Connection]]:
    """Open ``count`` connections."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Connection(port)) for _ in range(count)]


async def test_x01_sigterm_completes_requests_in_flight(tmp_path: Path) -> None:
    """X01: 20 requests that wait for the store are completed, and new connections are refused."""
    async with wire(silence_then(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as store:
        environment = {**NOWHERE, "R2_ENDPOINT": f"http://127.0.0.1:{store.port}"}
        with Broker(tmp_path, environment) as broker, connections(broker.port, 20) as clients:
            for client in clients:
                client.send(request("GET", OBJECT, scope="broker:service"))  # one user has a share of the slots
            await becomes(lambda: len(store.requests) == 20)
            began = time.monotonic()
            broker.process.send_signal(signal.SIGTERM)
            replies = await asyncio.gather(*(asyncio.to_thread(client.replies) for client in clients))
            assert await asyncio.to_thread(broker.process.wait, PATIENCE) == Exit.STOPPED
            assert time.monotonic() - began < GRACEFUL_STOP
            assert [reply.status for (reply,) in replies] == [404] * 20
            with pytest.raises(ConnectionRefusedError):
                Connection(broker.port)


async def test_x01_sigterm_under_load_loses_no_request(tmp_path: Path) -> None:
    """X01: On a kept connection the last response has ``Connection: close``; no request is lost."""
    with Broker(tmp_path, NOWHERE) as broker, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(broker.port)) for _ in range(20)]
        answered = [0] * len(clients)

        def go_on(index: int) -> None:
            is_last = False
            while not is_last:
                clients[index].send(request("GET", f"/api/v1/downloads/{KEY}"))
                reply = clients[index].reply()
                assert reply.status == 200
                answered[index] += 1
                is_last = reply.fields.get("connection") == "close"

        with ThreadPoolExecutor(len(clients)) as pool:
            running = [pool.submit(go_on, index) for index in range(len(clients))]
            try:
                await becomes(lambda: all(answered) or any(client.done() for client in running))
            finally:
                broker.process.send_signal(signal.SIGTERM)
            for client in running:
                await asyncio.wrap_future(client)
        assert sum(answered) > 20


async def test_x02_stuck_requests_end_with_the_stop(tmp_path: Path) -> None:
    """X02: A stop ends in time while requests wait for the store or for their own body."""
    async with wire(silence) as store:
        environment = {**NOWHERE, "R2_ENDPOINT": f"http://127.0.0.1:{store.port}"}
        with Broker(tmp_path, environment) as broker, connections(broker.port, 2) as (stuck, stalled):
            stalled.send(request("POST", "/api/v1/uploads", "Content-Type: application/json", "Content-Length: 100"))
            stuck.send(request("GET", OBJECT))
            await becomes(lambda: len(store.requests) == 1)  # the broker has read both, in their order
            began = time.monotonic()
            broker.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(stuck.reply)
            await asyncio.to_thread(broker.process.wait, PATIENCE)
            assert time.monotonic() - began < GRACEFUL_STOP + SLACK


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGTERM]]
)
@pytest.mark.parametrize("count", ["1", "2"])
def test_x03_signals_stop_it_cleanly(tmp_path: Path, signals: list[signal.Signals], count: str) -> None:
    """X03: SIGTERM and SIGINT, once or twice, stop one worker or two with exit status 0."""
    with Broker(tmp_path, NOWHERE, "--workers", count) as broker:
        for number in signals:
            broker.process.send_signal(number)
        assert broker.process.wait(PATIENCE) == Exit.STOPPED
        assert not [line for line in broker.lines() if line.get("level") == "error"]


async def test_x04_killed_worker_is_replaced(tmp_path: Path) -> None:
    """X04: After SIGKILL of one of two workers, under 1 % of the requests are lost, for at most a second."""
    with Broker(tmp_path, NOWHERE, "--workers", "2") as broker:
        before = await all_workers(broker)
        async with load(broker.url) as found:
            await becomes(lambda: len(found.statuses) >= 500)  # the load has started
            os.kill(min(before), signal.SIGKILL)
            await becomes(lambda: bool(workers(broker) - before))
            await asyncio.sleep(2)  # the new worker gets requests, too
            await becomes(lambda: len(found.statuses) >= 2000)  # one lost request of each client is less than 1 %
        assert set(found.statuses) == {200}
        assert len(found.lost) <= len(found.statuses) / 100
        assert found.lost_for <= 1


def test_x05_new_process_starts_after_a_kill(tmp_path: Path) -> None:
    """X05: After SIGKILL of the only process a new one serves."""
    with Broker(tmp_path, NOWHERE) as broker:
        broker.kill()
    with Broker(tmp_path, NOWHERE) as another, another.client() as client:
        assert client.get(f"/downloads/{KEY}").status_code == 200


def test_x06_recovers_from_exhausted_file_descriptors(tmp_path: Path) -> None:
    """X06: The process recovers when file descriptors are free again, and its log stays small."""
    limited = [sys.executable, "-c", LIMITED]
    with Broker(tmp_path, NOWHERE, command=limited) as broker:
        with connections(broker.port, 150) as clients:
            time.sleep(2)  # the period of the limit on lines
            lines = len(broker.lines())
            assert clients
        time.sleep(2)  # the time to recover
        assert lines <= 20 + 10
        with broker.client() as client:
            assert client.get(f"/downloads/{KEY}").status_code == 200


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""

WRITES_NOTHING = """
import os, runpy, sys
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith("/dev/"):
        writes = (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and "__pycache__" not in arguments[0]:
            os.write(2, f"writes {arguments[0]}".encode())
            os._exit(70)
    if event in ("os.mkdir", "os.rename", "tempfile.mkstemp", "tempfile.mkdtemp", "subprocess.Popen"):
        os.write(2, f"does {event}".encode())
        os._exit(71)
sys.addaudithook(watch)
sys.dont_write_bytecode = True
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""


def test_x07_writes_no_file(tmp_path: Path) -> None:
    """X07: The process needs no home folder and writes no file, so it runs on a read-only root."""
    command = [sys.executable, "-c", WRITES_NOTHING]
    with Broker(tmp_path, NOWHERE, command=command, counted=False) as broker, broker.client() as client:
        created = client.post("/uploads", json={"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10})
        assert created.status_code == 201
        assert client.post(f"/uploads/{created.json()['uploadId']}/confirm").status_code == 503
        assert broker.process.poll() is None


WITHOUT_OUTPUT = ("sh", "-c", 'exec "$@" >&- 2>&-', "sh", *BROKER)


@pytest.mark.parametrize(("command", "log"), [(BROKER, Path("/dev/full")), (WITHOUT_OUTPUT, None)])
def test_x08_unwritable_log_blocks_no_request(tmp_path: Path, command: Sequence[str], log: Path | None) -> None:
    """X08: A full or closed standard output blocks no request."""
    with Broker(tmp_path, NOWHERE, command=command, log=log) as broker, broker.client() as client:
        for _ in range(10):
            assert client.get(f"/downloads/{KEY}").status_code == 200


def test_x09_largest_inputs_fit_into_256_mib(tmp_path: Path) -> None:
    """X09, H17: 500 connections with the largest inputs fit into 256 MiB, and a client is still served."""
    head = b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Large: " + b"a" * (15 * 1024)
    body = request("POST", "/api/v1/uploads", "Content-Type: application/json", f"Content-Length: {64 * 1024}")
    with Broker(tmp_path, NOWHERE) as broker, connections(broker.port, 500) as clients, broker.client() as good:
        for index, client in enumerate(clients):
            client.send(head if index % 2 else body + b"a" * (64 * 1024 - 1))
        time.sleep(1)  # until the broker has read everything
        assert rss(broker.process.pid) < 256 * 2**20
        began = time.monotonic()
        assert good.get(f"/downloads/{KEY}").status_code == 200
        assert time.monotonic() - began < HEAD_DEADLINE  # after which the other connections are closed


async def test_x12_rolling_restart_loses_no_request(tmp_path: Path) -> None:
    """X12: Three rolling restarts under load lose no request."""
    with Broker(tmp_path, NOWHERE, "--workers", "2") as broker:
        now = await all_workers(broker)
        async with load(broker.url) as found:
            for _ in range(3):
                now = await restarted(broker, now)
                await asyncio.sleep(0.5)  # load on the new workers alone
        assert (set(found.statuses), found.lost) == ({200}, [])


def test_x14_parser_and_loop_are_fixed() -> None:
    """X14: HTTP parser, event loop and WebSocket support do not depend on other installed packages."""
    options = server_options()
    assert (options["http"], options["loop"], options["ws"]) == (
        "broker.server.protocol:HttpProtocol",
        "uvloop",
        "none",
    )
