"""Constant load on a broker: each client sends its next request at once."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from tests.web.application import KEY

from .processes import token


@dataclass
class Load:
    """The statuses of all responses, and the instants of the lost requests."""

    statuses: list[int] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)

    @property
    def lost_for(self) -> float:
        """Seconds from the first lost request to the last."""
        return self.lost[-1] - self.lost[0] if self.lost else 0.0


@contextlib.asynccontextmanager
async def load(url: str, clients: int = 16) -> AsyncIterator[Load]:
    """Request links by some clients on kept connections; a client reconnects when its connection ends."""
    found = Load()
    headers = {"Authorization": f"Bearer {token(scope='broker:service')}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        session._retry_connection = False  # a lost request must be counted

        async def request_links() -> None:
            while True:
                try:
                    async with session.get(f"{url}/api/v1/downloads/{KEY}") as response:
                        await response.read()
                        found.statuses.append(response.status)
                except aiohttp.ClientError:
                    found.lost.append(time.monotonic())
                    await asyncio.sleep(0.01)  # a closed port refuses at once

        tasks = [asyncio.create_task(request_links()) for _ in range(clients)]
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
