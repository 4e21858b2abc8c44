"""The listener of the metrics: its port, its retries and its end."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from broker.metrics.instruments import Instruments, ProcessState
from broker.metrics.scrape_app import scrape_app
from broker.server import metrics_listener
from broker.settings import MetricsSettings
from tests.metrics.scrapes import scrape
from tests.patience import PATIENCE
from tests.ports import free_ports

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(first: int, count: int = 1, host: str = "127.0.0.1") -> AsyncIterator[None]:
    """Serve the metrics of a process."""
    place = MetricsSettings(host, range(first, first + count))
    task = asyncio.create_task(metrics_listener.serve(scrape_app(Instruments(), ProcessState), place))
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def listening(port: int) -> socket.socket:
    """Return a socket of another program that listens on ``port``."""
    return socket.create_server(("127.0.0.1", port))


async def test_process_takes_first_free_port() -> None:
    """Each process takes the first port of the range that is free."""
    first = free_ports(3)
    with listening(first):
        async with serving(first, 3), serving(first, 3):
            for port in (first + 1, first + 2):
                assert "process_cpu_seconds_total" in await asyncio.to_thread(scrape, port)


async def test_missing_port_is_logged_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A process without a free port logs that once while it retries."""
    monkeypatch.setattr(metrics_listener, "RETRY_INTERVAL", 0.001)
    monkeypatch.setattr(metrics_listener, "WARN_AFTER", 3)
    caplog.set_level(logging.INFO, "broker.web")
    port = free_ports(1)
    with listening(port):
        async with serving(port):
            await asyncio.sleep(0.5)  # many attempts
    assert len(caplog.records) == 1
    line = json.loads(caplog.records[0].getMessage())
    assert line["event"] == "broker.warning_raised"
    assert "no port of BROKER_METRICS_PORT is free for this process" in line["message"]
    assert "in use" in line["message"]


async def test_freed_port_is_taken(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A process without a port takes one as soon as it is free."""
    monkeypatch.setattr(metrics_listener, "RETRY_INTERVAL", 0.01)
    caplog.set_level(logging.INFO, "broker.web")
    port = free_ports(1)
    other = listening(port)
    async with serving(port):
        await asyncio.sleep(0.05)  # some failed attempts
        other.close()
        assert await asyncio.to_thread(scrape, port)
        opened = {"event": "broker.metrics_listener_opened", "port": port}
    assert [json.loads(record.getMessage()) for record in caplog.records] == [opened]


async def test_end_aborts_connections() -> None:
    """At the end, open connections are aborted and the port is closed."""
    port = free_ports(1)
    async with serving(port):
        await asyncio.to_thread(scrape, port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    with contextlib.suppress(ConnectionError):
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).endswith(b"\n")
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_address_may_be_ipv6() -> None:
    """Metrics can be served on an IPv6 address."""
    port = free_ports(1)
    async with serving(port, host="::1"):
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    reader, writer = await asyncio.open_connection("::1", port)
                    break
                await asyncio.sleep(0.01)
        writer.write(REQUEST)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()
