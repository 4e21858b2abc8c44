"""A broker whose log is not taken: requests go on, a stop ends in time, and what was dropped is counted."""

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


async def test_a_reader_that_stops_loses_no_request(tmp_path: Path) -> None:
    """Lines that are read, and those of which a line says that they were dropped, are as many as the requests."""
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
    """Requests whose lines have each item that failed: some 3 kB each."""
    with broker.client() as client:
        for _ in range(50):
            assert client.post("/uploads/confirm", json={"uploadIds": ["unknown"] * 100}).status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_stop_ends_in_time_although_nobody_reads(tmp_path: Path, workers: str) -> None:
    """The pipe is full, and lines wait."""
    Reader(path := tmp_path / "log")
    with Broker(tmp_path, NOWHERE, "--workers", workers, log=path) as broker:
        async with load(broker.url) as found:
            await becomes(lambda: len(found.statuses) >= 500)  # 100 kB of lines
        began = time.monotonic()
        broker.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(broker.process.wait, PATIENCE) in (0, -signal.SIGTERM)
        assert time.monotonic() - began < END_WITHIN + SLACK


def at_terminal(name: str) -> Sequence[str]:
    """The command of a broker whose output, errors too, is at this terminal."""
    return ("sh", "-c", 'exec "$@" >$TERMINAL 2>&1'.replace("$TERMINAL", name), "sh", *BROKER)


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_a_terminal_that_shows_nothing_stops_no_request(tmp_path: Path, is_stopped: bool) -> None:
    """Nobody takes what it is to show, or it was stopped as by Ctrl-S; a stop of the broker ends in time."""
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
    """A small disk in ``folder``, with little space left; what makes more."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        (folder / "other").write_bytes(b"x" * (1_000 * 1024))
        yield (folder / "other").unlink
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
async def test_a_full_disk_stops_no_request(tmp_path: Path) -> None:
    """When it has space again the log goes on in the middle of the line at which it stopped."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with filled(disk) as make_space, Broker(tmp_path, NOWHERE, log=disk / "log") as broker:
        answered = await until_cut_off(broker)
        make_space()
        await becomes(lambda: sum(line["event"] == "broker.request_completed" for line in broker.lines()) >= answered)


async def test_a_file_at_its_largest_size_stops_no_request(tmp_path: Path) -> None:
    """The same where a limit of the process (RLIMIT_FSIZE) stands for the size of the disk."""
    with Broker(tmp_path, NOWHERE) as broker:
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        answered = await until_cut_off(broker)
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        await becomes(lambda: sum(line["event"] == "broker.request_completed" for line in broker.lines()) >= answered)


async def until_cut_off(broker: Broker) -> int:
    """Send requests until the log ends within a line, and some more; their number."""
    async with load(broker.url) as found:
        await becomes(lambda: len(found.statuses) >= 500)
    assert (set(found.statuses), found.lost) == ({200}, [])
    assert not broker.written().endswith("\n")
    return len(found.statuses)


def test_the_last_words_of_a_process_are_in_its_log(tmp_path: Path) -> None:
    """Those of the server too, which ends by the signal that it received."""
    with Broker(tmp_path, NOWHERE) as broker, broker.client() as client:
        assert client.get(f"/downloads/{KEY}").status_code == 200
    *_, closing, last = [line.get("message", "") for line in broker.lines()]
    assert closing == "Application shutdown complete."
    assert last.startswith("Finished server process")


def test_a_closed_standard_output_is_never_a_connection(tmp_path: Path) -> None:
    """Its descriptor is taken, so that no client receives what another library writes there."""
    with Broker(tmp_path, NOWHERE, command=WITHOUT_OUTPUT) as broker:
        assert Path(f"/proc/{broker.process.pid}/fd/1").readlink() == Path(os.devnull)
