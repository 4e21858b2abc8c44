"""A client of one origin, and a server that acts as a test wants it to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.http_client.message import Request
from broker.http_client.origin import Origin
from tests.patience import PATIENCE
from tests.store.wire import Act, Wire, answer, wire

GET = Request("GET", "/a")
GOOD = answer(200, {"A": "b"}, b"good")


@asynccontextmanager
async def facing(*acts: Act, connect_timeout: float = PATIENCE) -> AsyncIterator[tuple[Origin, Wire]]:
    """A client of a server that acts so."""
    async with wire(*acts) as server:
        client = Origin(f"http://127.0.0.1:{server.port}", connect_timeout=connect_timeout, fields={"User-Agent": "me"})
        try:
            yield client, server
        finally:
            await client.close()


async def good(client: Origin) -> None:
    """A request is answered as it should be."""
    assert (await client.send(GET)).body == b"good"
