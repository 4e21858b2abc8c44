"""One user who misbehaves, in a process of its own: ``python -m tests.faults.misuse KIND BROKER STORE SUBJECT``.

Prints the name of its object when it is prepared, misbehaves until its standard input ends, and prints the number of
each outcome.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from .steady import Client, Load, declared

IDS = 12
"""Number of upload ids of one upload."""

KEYS = 900
"""Number of unknown keys in one request."""

ABORTS = 96
"""Number of concurrent aborts."""

CONFIRMS = 100
"""Number of confirms in one batch, half of them with invalid ids."""

AT_ONCE = 8
"""Number of concurrent batches."""

EVERY = 0.1
"""Seconds between two starts of a task, so that fast refusals do not raise the rate."""


class Misuse:
    """A misuse: ``prepare`` runs once, then ``workers`` concurrent tasks repeat ``once``."""

    workers = AT_ONCE

    def __init__(self, client: Client, load: Load) -> None:
        self._client = client
        self._load = load
        self.outcomes = Counter[str]()

    async def prepare(self) -> str:
        """Prepare, and return the name of the misused object, if there is one."""
        return ""

    async def once(self) -> None:
        """Perform the misuse once."""
        raise NotImplementedError

    async def _post(self, path: str, **body: Any) -> None:
        await self._count("POST", path, json=body)

    async def _count(self, method: str, path: str, **options: Any) -> None:
        headers = options.pop("headers", self._client.headers)
        answer = await self._client.send("misuse", method, path, headers, **options)
        self.outcomes.update(outcomes(self._load.seen.pop().status, answer))


class ManyIdsOfOneUpload(Misuse):
    """Confirms 12 ids of one upload in batches."""

    async def prepare(self) -> str:
        self._ids: set[str] = set()
        headers = {**self._client.headers, "Idempotency-Key": str(uuid4())}
        upload: dict[str, Any] = {}
        while len(self._ids) < IDS:
            upload = await self._client.send("prepare", "POST", "/uploads", headers, json=declared())
            self._ids.add(upload["uploadId"])
            await asyncio.sleep(0.1)
        await self._client.put(upload)
        return PurePosixPath(urlsplit(upload["url"]).path).stem

    async def once(self) -> None:
        await self._post("/uploads/confirm", uploadIds=sorted(self._ids))


class UnknownKeys(Misuse):
    """Requests links to 900 unknown keys at a time."""

    async def prepare(self) -> str:
        self._body = json.dumps({"keys": [f"media/{uuid4()}.mp3" for _ in range(KEYS)]}).encode()
        self._headers = {**self._client.headers, "Content-Type": "application/json"}
        return ""

    async def once(self) -> None:
        await self._count("POST", "/downloads", data=self._body, headers=self._headers)


class ManyAborts(Misuse):
    """Aborts 96 uploads at once."""

    workers = 1

    async def prepare(self) -> str:
        self._ids = await created(self._client, ABORTS)
        return ""

    async def once(self) -> None:
        async with asyncio.TaskGroup() as group:
            for upload in self._ids:
                group.create_task(self._count("DELETE", f"/uploads/{upload}"))


class UselessConfirms(Misuse):
    """Confirms uploads without a PUT, and invalid ids, 100 in a batch."""

    async def prepare(self) -> str:
        own = await created(self._client, CONFIRMS // 2)
        self._ids = [*own, *(f"bad-{uuid4()}" for _ in own)]
        return ""

    async def once(self) -> None:
        await self._post("/uploads/confirm", uploadIds=self._ids)


KINDS: Mapping[str, type[Misuse]] = MappingProxyType(
    {
        "confirms 12 ids of one upload, which the store throttles": ManyIdsOfOneUpload,
        "requests links to 900 unknown keys at a time": UnknownKeys,
        "sends 96 aborts at once": ManyAborts,
        "confirms 100 invalid or not uploaded ids at a time": UselessConfirms,
    }
)


async def created(client: Client, count: int) -> list[str]:
    """Return the ids of new uploads."""
    files = {"files": [declared()] * count}
    made = await client.send("prepare", "POST", "/uploads/batch", client.headers, json=files)
    return [upload["uploadId"] for upload in made["uploads"]]


def outcomes(status: int, document: dict[str, Any]) -> list[str]:
    """Return the problem code or the status of a request, or of each item of a batch."""
    items = document.get("results", (document,))
    return [str(item.get("code") or item.get("problem", {}).get("code") or status or "no response") for item in items]


async def misuse(kind: str, broker: str, store: str, subject: str) -> Mapping[str, int]:
    """Prepare, wait for a line on standard input, and repeat the misuse until it closes; return the outcomes."""
    load = Load()
    client = Client(broker, store, load, subject)
    user = KINDS[kind](client, load)

    async def work() -> None:
        while True:
            due = time.monotonic() + EVERY
            await user.once()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    print(await user.prepare(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    tasks = [asyncio.create_task(work()) for _ in range(user.workers)]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    failed = [each for each in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(each, Exception)]
    await client.close()
    return user.outcomes + Counter(type(error).__name__ for error in failed)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(misuse(*sys.argv[1:]))))
