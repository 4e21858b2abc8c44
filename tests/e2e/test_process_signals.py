"""The effect of signals on the broker's process and its workers."""

import asyncio
import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from broker.server.exits import Exit
from broker.server.supervisor import STOP_WITHIN
from broker.server.uvicorn_server import GRACEFUL_STOP
from tests.patience import PATIENCE, SLACK, becomes, until
from tests.ports import free_port
from tests.store.test_seaweedfs import runs
from tests.store.wire import silence, wire
from tests.web.application import KEY

from .load import load
from .processes import Broker, impatient
from .test_process import NOWHERE, OBJECT, connections, request, serving_workers, workers
from .test_process_start import started

GONE_WITHIN = 2.0
"""Seconds after the parent's death in which workers must be gone."""


def events(broker: Broker, name: str) -> list[dict[str, Any]]:
    """Return the log lines of one event."""
    return [line for line in broker.lines() if line["event"] == name]


def ignored(broker: Broker) -> list[str]:
    """Return the signals in its lines about ignored signals, in alphabetical order."""
    return sorted(line["signal"] for line in events(broker, "broker.signal_ignored"))


def serves(broker: Broker) -> bool:
    """Return whether the broker runs and serves a request."""
    with broker.client() as client:
        return broker.process.poll() is None and client.get(f"/downloads/{KEY}").status_code == 200


def ignores_signals(pid: int) -> bool:
    """Return whether the process ignores SIGUSR1, as it does before it can log (proc(5))."""
    found = re.search(r"SigIgn:\s+([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found
    return bool(int(found[1], 16) & 1 << (signal.SIGUSR1 - 1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_before_it_serves(tmp_path: Path, number: signal.Signals) -> None:
    """A process that is stopped during its start ends with the exit status of a stop and no output."""
    with started(tmp_path, free_port(), "1") as process:
        until(lambda: ignores_signals(process.pid))
        process.send_signal(signal.SIGHUP)
        process.send_signal(number)
        _, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, error) == (Exit.STOPPED, "")


def test_one_worker_ignores_other_signals(tmp_path: Path) -> None:
    """SIGHUP, SIGUSR1 and SIGUSR2 do not end a single process; each is logged with a remedy."""
    with Broker(tmp_path, NOWHERE) as broker:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            broker.process.send_signal(number)
        until(lambda: ignored(broker) == ["SIGHUP", "SIGUSR1", "SIGUSR2"])
        assert all("SIGTERM" in line["remedy"] for line in events(broker, "broker.signal_ignored"))
        assert serves(broker)


async def test_two_workers_ignore_other_signals(tmp_path: Path) -> None:
    """SIGUSR1 and SIGUSR2 end neither the parent nor a worker, and SIGHUP ends no worker."""
    with Broker(tmp_path, NOWHERE, "--workers", "2") as broker:
        now = await serving_workers(broker)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            broker.process.send_signal(number)
            for worker in now:
                os.kill(worker, number)
        for worker in now:
            os.kill(worker, signal.SIGHUP)
        await becomes(lambda: ignored(broker) == ["SIGHUP"] * 2 + ["SIGUSR1"] * 3 + ["SIGUSR2"] * 3)
        assert workers(broker) == now
        assert serves(broker)


async def test_signals_add_and_remove_workers(tmp_path: Path) -> None:
    """SIGTTIN adds a worker, SIGTTOU removes one, and the last one stays."""
    with Broker(tmp_path, NOWHERE, "--workers", "2") as broker:
        await serving_workers(broker)
        broker.process.send_signal(signal.SIGTTIN)
        await becomes(lambda: len(workers(broker)) == 3)
        for left in (2, 1, 1):
            broker.process.send_signal(signal.SIGTTOU)
            await becomes(lambda left=left: len(workers(broker)) == left)  # type: ignore[misc]  # a lambda's default
        assert serves(broker)
        assert not events(broker, "broker.worker_exited")


@pytest.mark.parametrize("count", ["1", "2"])
async def test_second_interrupt_does_not_wait(tmp_path: Path, count: str) -> None:
    """A second SIGINT ends requests in flight, with the exit status of a stop."""
    async with wire(silence) as store:
        environment = {**NOWHERE, "R2_ENDPOINT": f"http://127.0.0.1:{store.port}"}
        with Broker(tmp_path, environment, "--workers", count) as broker, connections(broker.port, 1) as (stuck,):
            stuck.send(request("POST", "/api/v1/uploads", "Content-Type: application/json", "Content-Length: 100"))
            with broker.client() as client:
                assert client.get(f"/downloads/{KEY}").status_code == 200
            began = time.monotonic()
            broker.process.send_signal(signal.SIGINT)
            await becomes(lambda: "Shutting down" in broker.written())
            broker.process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(broker.process.wait, PATIENCE) == Exit.STOPPED
            assert time.monotonic() - began < GRACEFUL_STOP


async def test_lost_worker_is_replaced(tmp_path: Path) -> None:
    """A killed worker is replaced; the log contains its process id and the signal."""
    with Broker(tmp_path, NOWHERE, "--workers", "2") as broker:
        before = await serving_workers(broker)
        os.kill(min(before), signal.SIGKILL)
        await becomes(lambda: len(workers(broker) - {min(before)}) == 2)
        (line,) = events(broker, "broker.worker_exited")
        assert (line["pid"], line["status"], line["served"]) == (min(before), -signal.SIGKILL, True)


async def test_crashing_workers_are_replaced_slowly(tmp_path: Path) -> None:
    """At most one worker a second is replaced, so that the log stays small."""
    with Broker(tmp_path, NOWHERE, "--workers", "2") as broker:
        await serving_workers(broker)
        began = time.monotonic()
        while time.monotonic() - began < 4:
            for worker in workers(broker):
                os.kill(worker, signal.SIGKILL)
            await asyncio.sleep(0.05)
        took = time.monotonic() - began
        assert len(events(broker, "broker.worker_exited")) <= 2 + 1 + took


async def test_worker_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """A worker that does not stop is killed in time; the exit status is that of a stop."""
    assert STOP_WITHIN > GRACEFUL_STOP
    with Broker(tmp_path, NOWHERE, "--workers", "2", command=impatient("STOP_WITHIN", 2.0)) as broker:
        now = await serving_workers(broker)
        os.kill(min(now), signal.SIGSTOP)
        broker.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(broker.process.wait, PATIENCE) == Exit.STOPPED
        assert [line["pid"] for line in events(broker, "broker.worker_killed")] == [min(now)]


def is_free(port: int) -> bool:
    """Return whether another broker could listen at the port."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


async def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """A killed parent leaves no worker, loaded or draining, and its port is free within two seconds."""
    async with wire(silence) as store:
        environment = {**NOWHERE, "R2_ENDPOINT": f"http://127.0.0.1:{store.port}"}
        with Broker(tmp_path, environment, "--workers", "2") as broker, connections(broker.port, 8) as clients:
            now = await serving_workers(broker)
            for client in clients:
                client.send(request("GET", OBJECT))
            await becomes(lambda: len(store.requests) == len(clients))
            async with load(broker.url) as found:
                await becomes(lambda: len(found.statuses) >= 500)  # the load has started
                os.kill(min(now), signal.SIGTERM)
                await becomes(lambda: "Shutting down" in broker.written())
                began = time.monotonic()
                broker.kill()
                await becomes(lambda: not any(map(runs, now)))
                await becomes(lambda: is_free(broker.port))  # a starting worker has the listening socket, too
                assert time.monotonic() - began < GONE_WITHIN + SLACK
