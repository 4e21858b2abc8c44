"""The address to which the client connects, and the certificate that it verifies."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from broker.http_client import origin
from broker.http_client.http_errors import ConnectionTimeoutError
from broker.http_client.origin import Origin, default_tls_context
from tests.patience import PATIENCE, SLACK
from tests.store.certificates import Authority
from tests.store.wire import keeps, wire

from .clients import GET, GOOD, check_good, client_of


async def test_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting ends with an error after the timeout."""
    async with client_of(keeps(GOOD), connect_timeout=0.05) as (client, _):
        began = time.monotonic()

        async def never(*_: object, **__: object) -> None:
            await asyncio.sleep(60)  # far longer than any deadline here

        monkeypatch.setattr(origin, "start_connection", never)
        with pytest.raises(ConnectionTimeoutError):
            await client.send(GET)
        assert time.monotonic() - began < 0.05 + SLACK


async def test_reachable_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several addresses, one that accepts the connection is used."""
    async with client_of(keeps(GOOD)) as (client, server):
        there = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        nobody = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))

        async def found(*_: object, **__: object) -> list[object]:
            return [nobody, there]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        await check_good(client)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
async def test_invalid_host_names(host: str) -> None:
    """A host name that the idna codec rejects is an ``OSError``."""
    with pytest.raises(OSError):
        await Origin(f"http://{host}", connect_timeout=1).send(GET)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://Store.Example", "store.example", 80, "/"),
        ("http://store.example:80/a/b", "store.example", 80, "/a/b"),
        ("https://store.example:443/", "store.example", 443, "/"),
        ("https://store.example:80/", "store.example:80", 80, "/"),
        ("http://[::1]:9000", "[::1]:9000", 9000, "/"),
        ("https://127.0.0.1/keys", "127.0.0.1", 443, "/keys"),
    ],
)
def test_urls(url: str, host: str, port: int, path: str) -> None:
    """The URL gives the Host field, the port and the path."""
    found = Origin(url, connect_timeout=1)
    assert (found._common_lines, found._port, found.path) == ([f"Host: {host}"], port, path)
    assert "[" not in found._host


@pytest.mark.parametrize("url", ["", "ftp://a", "http://", "http://a b", "http://a/\r\nX: y", "http://u@a", "//a"])
def test_invalid_urls(url: str) -> None:
    """Other URLs than http and https are refused."""
    with pytest.raises(ValueError):
        Origin(url, connect_timeout=1)


def test_tls_context() -> None:
    """The TLS context verifies certificates and host names, and is created once."""
    context = default_tls_context()
    assert context is default_tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_certificate_for_another_host(
    loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate for another host is refused on both event loops."""
    authority = Authority(tmp_path)
    monkeypatch.setattr(origin, "default_tls_context", authority.trust)

    async def run() -> None:
        async with wire(keeps(GOOD), tls=authority.server()) as server:
            for host in ("127.0.0.1", "localhost"):
                client = Origin(f"https://{host}:{server.port}", connect_timeout=PATIENCE)
                if host == "localhost":
                    with pytest.raises(ssl.SSLCertVerificationError):
                        await client.send(GET)
                else:
                    await check_good(client)
                    await check_good(client)
                    assert server.connections == 1
                await client.close()
            assert len(server.requests) == 2

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
