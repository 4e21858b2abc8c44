"""A broker whose log is not read: requests continue, a stop ends in time, and dropped lines are counted."""

import asyncio
import contextlib
import os
import pty
import resource
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from broker.server.log_handler import END_WITHIN
from tests.metrics.scrapes import Samples, named, requests, samples, scrape
from tests.patience import PATIENCE, SLACK, becomes
from tests.ports import free_ports
from tests.web.application import KEY
from tests.web.reading import NOTICE

from .load import load
from .log_reader import Reader
from .processes import BROKER, Broker
from .test_process import NOWHERE, WITHOUT_OUTPUT

DROPPED = named("broker_log_lines_dropped_total")


async def test_stopped_reader_loses_no_request(tmp_path: Path) -> None:
    """Each request has a log line, or is in the count of dropped lines."""
    port = free_ports(1)
    reader = Reader(path := tmp_path / "log")
    reader.read()

    def counted() -> Samples:
        return samples(scrape(port))

    with Broker(tmp_path, {**NOWHERE, "BROKER_METRICS_PORT": str(port)}, log=path) as broker:
        async with load(broker.url) as found:
            await becomes(lambda: len(found.statuses) >= 200)
            reader.stop()
            while counted()[DROPPED] == 0:
                await asyncio.to_thread(long_lines, broker)
            now = len(found.statuses)
            await becomes(lambda: len(found.statuses) >= now + 200)
            reader.read()
        assert (set(found.statuses), found.lost) == ({200}, [])
        await becomes(lambda: reader.accounted() == sum(requests(counted()).values()))
        gaps = [line["count"] for line in reader.lines() if line["event"] == NOTICE]
        assert sum(gaps) == counted()[DROPPED] > 0


def long_lines(broker: Broker) -> None:
    """Send requests whose log lines list each failed item, about 3 kB each."""
    with broker.client() as client:
        for _ in range(50):
            assert client.post("/uploads/confirm", json={"uploadIds": ["unknown"] * 100}).status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_stop_ends_in_time_with_full_pipe(tmp_path: Path, workers: str) -> None:
    """A stop ends in time while the log pipe is full and lines wait."""
    Reader(path := tmp_path / "log")
    with Broker(tmp_path, NOWHERE, "--workers", workers, log=path) as broker:
        async with load(broker.url) as found:
            await becomes(lambda: len(found.statuses) >= 500)  # 100 kB of lines
        began = time.monotonic()
        broker.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(broker.process.wait, PATIENCE) in (0, -signal.SIGTERM)
        assert time.monotonic() - began < END_WITHIN + SLACK


def at_terminal(name: str) -> Sequence[str]:
    """Return the command of a broker whose output goes to this terminal."""
    return ("sh", "-c", 'exec "$@" >$TERMINAL 2>&1'.replace("$TERMINAL", name), "sh", *BROKER)


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_stopped_terminal_blocks_no_request(tmp_path: Path, is_stopped: bool) -> None:
    """A terminal that is not read, or is stopped by Ctrl-S, blocks neither requests nor the stop."""
    master, slave = pty.openpty()
    if is_stopped:
        termios.tcflow(slave, termios.TCOOFF)
    with Broker(tmp_path, NOWHERE, command=at_terminal(os.ttyname(slave))) as broker:
        async with load(broker.url) as found:
            await becomes(lambda: len(found.statuses) >= 500)
        assert (set(found.statuses), found.lost) == ({200}, [])
        began = time.monotonic()
        broker.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(broker.process.wait, PATIENCE)
        assert time.monotonic() - began < END_WITHIN + SLACK
    os.close(slave)
    os.close(master)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[Callable[[], None]]:
    """Mount a small, nearly full disk at ``folder``; yield a function that frees space."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        (folder / "other").write_bytes(b"x" * (1_000 * 1024))
        yield (folder / "other").unlink
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
async def test_full_disk_blocks_no_request(tmp_path: Path) -> None:
    """When a full disk has space again, the log continues within the line at which it stopped."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with filled(disk) as make_space, Broker(tmp_path, NOWHERE, log=disk / "log") as broker:
        answered = await until_cut_off(broker)
        make_space()
        await becomes(lambda: sum(line["event"] == "broker.request_completed" for line in broker.lines()) >= answered)


async def test_file_size_limit_blocks_no_request(tmp_path: Path) -> None:
    """A log file at the limit RLIMIT_FSIZE blocks no request, and continues when the limit is raised."""
    with Broker(tmp_path, NOWHERE) as broker:
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        answered = await until_cut_off(broker)
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        await becomes(lambda: sum(line["event"] == "broker.request_completed" for line in broker.lines()) >= answered)


async def until_cut_off(broker: Broker) -> int:
    """Send requests until the log ends within a line; return their number."""
    async with load(broker.url) as found:
        await becomes(lambda: len(found.statuses) >= 500)
    assert (set(found.statuses), found.lost) == ({200}, [])
    assert not broker.written().endswith("\n")
    return len(found.statuses)


def test_last_lines_are_in_the_log(tmp_path: Path) -> None:
    """The log ends with the server's last lines, although the process ends by a signal."""
    with Broker(tmp_path, NOWHERE) as broker, broker.client() as client:
        assert client.get(f"/downloads/{KEY}").status_code == 200
    *_, closing, last = [line.get("message", "") for line in broker.lines()]
    assert closing == "Application shutdown complete."
    assert last.startswith("Finished server process")


def test_closed_standard_output_is_replaced(tmp_path: Path) -> None:
    """File descriptor 1 is never a connection, so no client receives output of another library."""
    with Broker(tmp_path, NOWHERE, command=WITHOUT_OUTPUT) as broker:
        assert Path(f"/proc/{broker.process.pid}/fd/1").readlink() == Path(os.devnull)
