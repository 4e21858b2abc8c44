"""The clients of the brokers: most complete their uploads, some do not."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import jwt

from tests.faults.identity_rows import FIRST
from tests.faults.steady import Client, Load, Pace, paced, sample
from tests.web.application import KEY

from .deployments import CLOCK, HEALTHY, IDENTITY, REFUSALS, STORE_OUTAGE, UNFINISHED, Deployments

_GARBAGE = b"\0" * 64
_PATIENT_CLIENTS = 3
_PAUSE = 0.2  # seconds before the next confirm or upload of such a client


@dataclass
class Uploader:
    """Uploads, of which one in ``refused_in`` is not the declared file, and one in ``given_up_in`` is never sent.

    0 stands for none. Both can be changed.
    """

    client: Client
    refused_in: int = 0
    given_up_in: int = 0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def upload(self) -> None:
        """Make one upload."""
        number = next(self._numbers)
        if self.given_up_in and number % self.given_up_in == 0:
            await self.client.create()
        elif self.refused_in and number % self.refused_in == 0:
            upload = await self.client.create()
            await self.client.put(upload, (_GARBAGE * len(sample()))[: len(sample())])
            await self._confirm(upload["uploadId"])
        else:
            await self.client.confirm()

    async def upload_with_patience(self) -> None:
        """Make uploads without end; repeat a confirm until it succeeds, as a person does who waits."""
        while True:
            upload = await self.client.create()
            await self.client.put(upload)
            confirmed: dict[str, object] = {}
            while "key" not in confirmed:
                confirmed = await self._confirm(upload["uploadId"])
                await asyncio.sleep(_PAUSE)

    async def _confirm(self, upload_id: str) -> dict[str, object]:
        return await self.client.send("confirm", "POST", f"/uploads/{upload_id}/confirm", self.client.headers)


@asynccontextmanager
async def clients(deployments: Deployments, rate: float = 1.0) -> AsyncIterator[dict[str, Uploader]]:
    """Run the clients of all jobs; ``rate`` multiplies how often requests begin. Yield the uploader of each job."""
    load, numbers = Load(), count()
    uploaders = {
        job: Uploader(Client(broker.url, deployments.store.endpoint, load))
        for job, broker in deployments.brokers.items()
    }

    async def link() -> None:
        """Request a link with a new token of the identity service."""
        claims = {"sub": f"user-{next(numbers)}", "exp": int(time.time()) + 600}
        fields = {"Authorization": f"Bearer {jwt.encode(claims, FIRST, 'ES256', {'kid': 'first'})}"}
        await uploaders[IDENTITY].client.send("download", "GET", f"/downloads/{KEY}", fields)

    paces: dict[str, Pace] = {IDENTITY: (link, 5 * rate)}
    for job, often in ((HEALTHY, 6), (REFUSALS, 8), (UNFINISHED, 4), (CLOCK, 2)):
        if job in uploaders:
            paces[job] = (uploaders[job].upload, often * rate)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as patient:
        for uploader in uploaders.values():
            stack.push_async_callback(uploader.client.close)
        await stack.enter_async_context(paced(load, *(paces[job] for job in paces if job in uploaders)))
        tasks = [
            patient.create_task(uploaders[STORE_OUTAGE].upload_with_patience())
            for _ in range(_PATIENT_CLIENTS if STORE_OUTAGE in uploaders else 0)
        ]
        yield uploaders
        for task in tasks:
            task.cancel()
    assert load.errors == []
