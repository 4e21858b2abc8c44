"""Starts that fail: two at once, a taken port, and workers that cannot serve."""

import errno
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.server.exits import Exit
from tests.patience import PATIENCE, becomes, until
from tests.ports import free_port

from .processes import BROKER, JWT_SECRET, Broker, impatient, inherited, responds
from .test_process import NOWHERE, serving_workers, workers

PAUSE = 0.4
"""Seconds from a first failed start to the next one, instead of the usual one."""

COUNTS = pytest.mark.parametrize("count", ["1", "2"])


@contextmanager
def started(folder: Path, port: int, count: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a broker that may fail, with a pipe for its standard error."""
    variables = {**inherited(), **NOWHERE, "JWT_SECRET": JWT_SECRET, **environment}
    process = subprocess.Popen(
        [*BROKER, "serve", "--port", str(port), "--workers", count],
        cwd=folder,
        env={name: value for name, value in variables.items() if value},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def refused(process: "subprocess.Popen[str]", port: int) -> None:
    """Check that the process ends with the line and the exit status of a taken port."""
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.CANNOT_LISTEN
    (line,) = error.splitlines()
    assert line.startswith(f"broker: cannot listen on 127.0.0.1:{port}: address already in use. ")


@pytest.mark.parametrize("attempt", range(10))
def test_two_starts_at_once(tmp_path: Path, attempt: int) -> None:
    """Of two starts on one port, one serves and the other ends with one line."""
    port, count = free_port(), str(1 + attempt % 2)
    with started(tmp_path, port, count) as first, started(tmp_path, port, count) as second:
        until(lambda: first.poll() is not None or second.poll() is not None)
        loser, winner = (first, second) if first.poll() is not None else (second, first)
        refused(loser, port)
        until(lambda: responds(port))
        assert winner.poll() is None
        winner.terminate()
        assert winner.wait(PATIENCE) == Exit.STOPPED


@COUNTS
@pytest.mark.parametrize("is_listening", [True, False], ids=["listener", "bound"])
def test_taken_port_ends_the_start(tmp_path: Path, count: str, is_listening: bool) -> None:
    """A start on a taken port ends, whether the other socket listens or is only bound."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if is_listening:
            taken.listen()
        port = taken.getsockname()[1]
        with started(tmp_path, port, count) as process:
            refused(process, port)


@contextmanager
def fed(pipe: Path, *contents: str) -> Iterator[None]:
    """Create a named pipe that returns one content after the other, and the last one again and again."""
    os.mkfifo(pipe)
    is_over = threading.Event()

    def feed() -> None:
        left = list(contents)
        while not is_over.wait(0.01):  # poll for a reader
            try:
                end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                assert error.errno == errno.ENXIO  # the pipe has no reader
                continue
            os.write(end, (left.pop(0) if len(left) > 1 else left[0]).encode())
            os.close(end)
            is_over.wait(0.2)  # until the reader has closed the pipe, too

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@COUNTS
def test_worker_that_cannot_serve(tmp_path: Path, count: str) -> None:
    """A worker that cannot serve names the reason, and the whole process ends."""
    pipe = tmp_path / "secret"
    with (
        fed(pipe, JWT_SECRET, "short"),
        started(tmp_path, free_port(), count, JWT_SECRET="", JWT_SECRET_FILE=str(pipe)) as process,
    ):
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.CANNOT_SERVE
    reasons = [line for line in error.splitlines() if line != "broker: stopped, because its workers cannot serve."]
    assert len(reasons) <= int(count)
    if count == "1":
        assert error == "broker: cannot serve: JWT_SECRET must have at least 32 bytes.\n"
    for reason in reasons:  # each of two workers may read any content
        assert reason.startswith("broker: cannot serve: JWT_SECRET ")


async def test_failed_replacements_end_the_service(tmp_path: Path) -> None:
    """A failed restart keeps the old workers; when lost ones cannot be replaced, the service ends after a while."""
    secret = tmp_path / "secret"
    secret.write_text(JWT_SECRET, encoding="ascii")
    environment = {name: value for name, value in NOWHERE.items() if name != "JWT_SECRET"}
    environment["JWT_SECRET_FILE"] = str(secret)
    with Broker(tmp_path, environment, "--workers", "2", command=impatient("START_PAUSE", PAUSE)) as broker:
        now = await serving_workers(broker)
        secret.write_text("short", encoding="ascii")
        broker.process.send_signal(signal.SIGHUP)
        await becomes(lambda: [line for line in events(broker) if line["event"] == "broker.restart_aborted"])
        assert workers(broker) == now
        os.kill(min(now), signal.SIGKILL)
        began = time.monotonic()
        await becomes(lambda: broker.process.poll() is not None)
        assert time.monotonic() - began >= (1 + 2 + 4 + 8) * PAUSE
        assert broker.process.returncode == Exit.CANNOT_SERVE
        exits = [line for line in events(broker) if line["event"] == "broker.worker_exited"]
        assert [line["served"] for line in exits] == [False, True, *[False] * 5]
        assert (exits[1]["pid"], exits[1]["status"]) == (min(now), -signal.SIGKILL)


async def test_worker_that_cannot_be_started(tmp_path: Path) -> None:
    """Without file descriptors a restart is aborted, and a lost worker is replaced later."""
    with Broker(tmp_path, NOWHERE, "--workers", "2") as broker:
        now = await serving_workers(broker)
        soft, hard = resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (8, hard))
        broker.process.send_signal(signal.SIGHUP)
        await becomes(lambda: [line for line in broker.lines() if line["event"] == "broker.restart_aborted"])
        assert workers(broker) == now
        os.kill(min(now), signal.SIGKILL)
        await becomes(lambda: [line["event"] for line in broker.lines()].count("broker.worker_start_failed") == 2)
        resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        await becomes(lambda: len(workers(broker) - {min(now)}) == 2)
        assert broker.process.poll() is None


def events(broker: Broker) -> list[dict[str, object]]:
    """Return the log. Other lines belong to standard error."""
    return broker.lines(is_mixed=True)
