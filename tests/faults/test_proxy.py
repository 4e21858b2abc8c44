"""The proxy itself: what passes, what is counted, and each fault."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from broker.core.model import ObjectRef
from tests.patience import PATIENCE
from tests.stores.place import Place, Reply, new_ref

from .proxy import Fault, FaultProxy

BODY = bytes(range(256)) * 1024


@pytest.fixture
def proxy(seaweedfs: Place) -> Iterator[FaultProxy]:
    """Start a proxy to a real store."""
    address = urlsplit(seaweedfs.endpoint)
    assert address.hostname
    assert address.port
    with FaultProxy(address.hostname, address.port) as running:
        yield running


def url(proxy: FaultProxy, method: str, ref: ObjectRef) -> str:
    """Return a URL that is signed for the proxy."""
    place = Place("proxy", proxy.endpoint)
    return place.presigner().presign(method, ref, now=int(time.time()), expires_in=60)


def exchange(connection: http.client.HTTPConnection, method: str, address: str, body: bytes | None = None) -> Reply:
    """Send one request on a kept connection."""
    parts = urlsplit(address)
    connection.request(method, f"{parts.path}?{parts.query}", body)
    response = connection.getresponse()
    return Reply(response.status, dict(response.getheaders()), response.read())


def test_proxy_passes_signed_requests(proxy: FaultProxy) -> None:
    """URLs that are signed for the proxy's address are valid at the store, on one kept connection."""
    ref = new_ref()
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE)) as connection:
        assert exchange(connection, "PUT", url(proxy, "PUT", ref), BODY).status == 200
        assert exchange(connection, "HEAD", url(proxy, "HEAD", ref)).status == 200
        assert exchange(connection, "GET", url(proxy, "GET", ref)).body == BODY
        assert exchange(connection, "DELETE", url(proxy, "DELETE", ref)).status == 204
        assert exchange(connection, "GET", url(proxy, "GET", ref)).status == 404
    assert [(one.method, one.received, one.status) for one in proxy.exchanges] == [
        ("PUT", len(BODY), 200),
        ("HEAD", 0, 200),
        ("GET", 0, 200),
        ("DELETE", 0, 204),
        ("GET", 0, 404),
    ]


@pytest.mark.parametrize(
    ("fault", "is_stored"),
    [
        (Fault(lambda one: one.method == "PUT", cut_after=1000), False),
        (Fault(lambda one: one.method == "PUT", loses_answer=True), True),
    ],
    ids=["cut", "lost response"],
)
def test_fault_happens_once(proxy: FaultProxy, fault: Fault, *, is_stored: bool) -> None:
    """A fault happens to one request, and the next request passes."""
    ref = new_ref()
    proxy.next(fault)
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE)) as connection:
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            exchange(connection, "PUT", url(proxy, "PUT", ref), BODY)
        connection.close()
        assert fault.happened.is_set()
        assert exchange(connection, "GET", url(proxy, "GET", ref)).status == (200 if is_stored else 404)
        assert exchange(connection, "PUT", url(proxy, "PUT", ref), BODY).status == 200
    assert proxy.exchanges[0].received == (len(BODY) if is_stored else 1000)


def test_held_request_continues_when_released(proxy: FaultProxy) -> None:
    """A held request reaches the store only after it is released."""
    ref = new_ref()
    fault = proxy.next(Fault(lambda one: one.method == "PUT", held=threading.Event()))
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE)) as connection:
        target = urlsplit(url(proxy, "PUT", ref))
        connection.request("PUT", f"{target.path}?{target.query}", BODY)
        assert fault.happened.wait(PATIENCE)
        assert proxy.exchanges == []
        assert fault.held
        fault.held.set()
        assert connection.getresponse().status == 200
