"""File descriptors: the limit that a process sets for itself, and behaviour when none is left."""

import contextlib
import re
import resource
import sys
from pathlib import Path

import pytest

from tests.patience import becomes, until
from tests.store.wire import answer, says, wire
from tests.web.application import KEY

from .processes import Broker
from .test_process import NOWHERE, OBJECT, connections, request, serving_workers
from .test_process_signals import events

LIMITED = """
import resource, runpy, sys
if {without_uvloop}:
    sys.modules["uvloop"] = None
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""
SHARE = 32
"""Connections of clients that a process with 64 descriptors accepts."""


def limited(soft: int, hard: int, *, without_uvloop: bool = False) -> list[str]:
    """Return the command with these limits of file descriptors."""
    return [sys.executable, "-c", LIMITED.format(soft=soft, hard=hard, without_uvloop=without_uvloop)]


def soft_limit(pid: int) -> int:
    """Return the soft limit of file descriptors of a process."""
    found = re.search(r"Max open files +(\d+)", Path(f"/proc/{pid}/limits").read_text(encoding="ascii"))
    assert found
    return int(found[1])


async def test_every_process_raises_its_limit(tmp_path: Path) -> None:
    """The parent and each worker raise the soft limit of file descriptors to the hard limit."""
    with Broker(tmp_path, NOWHERE, "--workers", "2", command=limited(256, 2048)) as broker:
        processes = {broker.process.pid, *await serving_workers(broker)}
        assert {soft_limit(process) for process in processes} == {2048}


async def test_clients_leave_descriptors_for_the_store(tmp_path: Path) -> None:
    """At the connection limit, new clients get 503, calls to the store succeed, and one line is logged."""
    async with wire(says(answer(404))) as store:
        environment = {**NOWHERE, "R2_ENDPOINT": f"http://127.0.0.1:{store.port}"}
        with (
            Broker(tmp_path, environment, command=limited(64, 64)) as broker,
            connections(broker.port, SHARE) as clients,
            contextlib.ExitStack() as stack,
        ):
            for client in clients:
                client.send(request("GET", f"/api/v1/downloads/{KEY}"))
            await becomes(lambda: len(events(broker, "broker.request_completed")) >= SHARE)
            (others,) = [stack.enter_context(connections(broker.port, 20))]
            for other in others:
                assert [(reply.status, reply.code) for reply in other.replies()] == [(503, "too_many_connections")]
            for client in clients:
                assert client.reply().status == 200
                client.send(request("GET", OBJECT))
            await becomes(lambda: len(store.requests) >= 1)
            await becomes(lambda: len(events(broker, "broker.connection_limit_reached")) == 1)


@pytest.mark.parametrize("without_uvloop", [False, True], ids=["uvloop", "asyncio"])
def test_failing_accept_is_one_line(tmp_path: Path, without_uvloop: bool) -> None:
    """Without a free descriptor, one log line names the remedy; with free descriptors the service continues."""
    command = limited(256, 256, without_uvloop=without_uvloop)
    with Broker(tmp_path, NOWHERE, command=command) as broker, connections(broker.port, 1) as (kept,):
        kept.send(request("GET", f"/api/v1/downloads/{KEY}"))
        assert kept.reply().status == 200
        resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (8, 256))
        with connections(broker.port, 20):
            until(lambda: events(broker, "broker.accept_failed"))
            kept.send(request("GET", f"/api/v1/downloads/{KEY}"))
            assert kept.reply().status == 200
        resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        with broker.client() as client:
            until(lambda: client.get(f"/downloads/{KEY}").status_code == 200)
        (line,) = events(broker, "broker.accept_failed")
        assert line["reason"] == "Too many open files"
        assert "LimitNOFILE" in line["remedy"]
