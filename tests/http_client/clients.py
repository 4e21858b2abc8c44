"""A client of one origin, and a server that acts as the test determines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.http_client.message import Request
from broker.http_client.origin import Origin
from tests.patience import PATIENCE
from tests.store.wire import Act, Wire, answer, wire

GET = Request("GET", "/a")
GOOD = answer(200, {"A": "b"}, b"good")


@asynccontextmanager
async def client_of(*acts: Act, connect_timeout: float = PATIENCE) -> AsyncIterator[tuple[Origin, Wire]]:
    """Return a client and the server to which it connects; ``acts`` are the server's, one for each connection."""
    async with wire(*acts) as server:
        client = Origin(f"http://127.0.0.1:{server.port}", connect_timeout=connect_timeout, fields={"User-Agent": "me"})
        try:
            yield client, server
        finally:
            await client.close()


async def check_good(client: Origin) -> None:
    """Send a request and check its response."""
    assert (await client.send(GET)).body == b"good"
