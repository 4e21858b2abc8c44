"""The use cases with a store in memory, whose refusals, lifecycle and order of requests are simulated."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import msgspec

from broker import settings
from broker.core.model import ObjectRef, Principal
from broker.core.object_keys import STAGING_PREFIX
from broker.core.upload_rules import DAY, Declaration, UploadPolicy
from broker.crypto.presigner import Presigner
from broker.crypto.receipts import Receipts
from broker.errors import BrokerError
from broker.service.confirmation import Confirmation
from broker.service.downloads import LinkOptions
from broker.web import representations, schemas
from tests.service.deployment import Deployment
from tests.stores.memory import MemoryObjectStore
from tests.web.application import ENVIRONMENT

from . import signed_urls
from .backend import SERVICE, Call, Removed, Response, Served

VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {"DOWNLOAD_ACCESS": "owner"},
    {"R2_ENDPOINT": "https://s3.example.com"},
)
"""R2, R2 with links for owners, and a store without checksums."""

START = 1_800_000_000
SETTLED = 25
"""Iterations of the event loop after which each task waits for the store, or has ended."""


class Ordered:
    """A store whose requests wait for their turn while ``waiting`` is a list."""

    def __init__(self, store: MemoryObjectStore) -> None:
        self._store = store
        self.waiting: list[asyncio.Future[None]] | None = None

    def reserve(self) -> AbstractAsyncContextManager[None]:
        """Return a slot; their number is not limited here."""
        return self._store.reserve()

    def __getattr__(self, verb: str) -> Any:
        async def in_turn(*arguments: Any, **options: Any) -> Any:
            await self.turn()
            return await getattr(self._store, verb)(*arguments, **options)

        return in_turn

    async def turn(self) -> None:
        """Wait for the turn of this request."""
        if self.waiting is not None:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn


class InMemory:
    """Two processes with one store. Every change of the store takes a second."""

    simulates_store = True
    part_size = 64
    checks_checksums: bool | None

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def begin(self, variant: int) -> None:
        """Start with an empty store of one of three kinds."""
        changes = VARIANTS[variant % len(VARIANTS)]
        self.checks_checksums = "R2_ENDPOINT" not in changes
        self.links_for_all = "DOWNLOAD_ACCESS" not in changes
        self._now = START
        self._store = MemoryObjectStore(clock=self._tick)
        self._store.returns_checksums = self.checks_checksums
        self._ordered = Ordered(self._store)
        self._processes = [Deployment(changes, cast("Any", self._ordered)) for _ in range(2)]
        configured = settings.parse({**ENVIRONMENT, **changes})
        assert configured.store
        self._presigner = Presigner(configured.store.credentials, configured.store.endpoint)
        self._receipts = Receipts(configured.secrets, issuer=configured.issuer)

    def subject(self, caller: str) -> str:
        return caller

    def jwks(self) -> dict[str, Any]:
        return self._receipts.jwks

    def now(self) -> int:
        return self._now

    def wait(self, seconds: int) -> None:
        self._now += seconds
        for process in self._processes:
            process.now = self._now

    def clean(self) -> Removed:
        """Remove staged objects and abort multipart uploads that are older than the retention of the policy."""
        before = self._now - UploadPolicy().retention_days * DAY
        old = [
            ref
            for ref, (stored, _) in self._store.objects.items()
            if ref.key.startswith(STAGING_PREFIX) and stored.last_modified <= before
        ]
        begun = [upload_id for upload_id, each in self._store.multiparts.items() if each.initiated <= before]
        for ref in old:
            del self._store.objects[ref]
        for upload_id in begun:
            del self._store.multiparts[upload_id]
        return Removed(frozenset(ref.key for ref in old), frozenset(begun))

    def call(self, call: Call) -> Response:
        return self._loop.run_until_complete(self._respond(call, self._processes[0]))

    def race(self, calls: Sequence[Call], order: Sequence[int]) -> list[Response]:
        """Perform each call in another process if the first number is even, otherwise all in one."""
        processes = self._processes if order[0] % 2 == 0 else self._processes[:1]
        return self._loop.run_until_complete(self._race(calls, order[1:], processes))

    def put(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        found = signed_urls.read(url)
        is_signed = found.is_signed(self._presigner, "PUT", signed_urls.with_length(headers, body))
        if not is_signed or found.is_expired(self._now):
            return 403
        if found.part:
            return self._put_part(found.ref, *found.part, body)
        if self.checks_checksums and _has_other_checksum(headers, body):
            return 400
        if found.ref in self._store.objects:
            return 412
        self._store.put(found.ref, body, content_type=headers["Content-Type"])
        return 200

    def _put_part(self, ref: ObjectRef, upload_id: str, number: int, body: bytes) -> int:
        upload = self._store.multiparts.get(upload_id)
        if upload is None or upload.ref != ref:
            return 404
        self._store.put_part(upload_id, number, body)
        return 200

    def get(self, url: str) -> Served:
        found = signed_urls.read(url)
        if not found.is_signed(self._presigner, "GET", {}) or found.is_expired(self._now):
            return Served(403)
        there = self._store.objects.get(found.ref)
        return Served(200, there[1], there[0].etag) if there else Served(404)

    def end(self) -> None:
        """Do nothing: the next sequence starts with an empty store."""

    def close(self) -> None:
        """Close the event loop."""
        self._loop.close()

    def _tick(self) -> float:
        self.wait(1)
        return self._now

    async def _race(
        self, calls: Sequence[Call], order: Sequence[int], processes: Sequence[Deployment]
    ) -> list[Response]:
        self._ordered.waiting = waiting = list[asyncio.Future[None]]()
        tasks = [
            asyncio.create_task(self._respond(call, processes[index % len(processes)]))
            for index, call in enumerate(calls)
        ]
        turns = iter(order)
        while not all(task.done() for task in tasks):
            for _ in range(SETTLED):
                await asyncio.sleep(0)
            if waiting:
                waiting.pop(next(turns, 0) % len(waiting)).set_result(None)
        self._ordered.waiting = None
        return [task.result() for task in tasks]

    async def _respond(self, call: Call, process: Deployment) -> Response:
        if call.name == "put":
            await self._ordered.turn()
            return Response(self.put(*call.arguments), {})
        principal = Principal(self.subject(call.caller), is_service=call.caller == SERVICE)
        try:
            status, document = await getattr(UseCases(process), call.name)(principal, *call.arguments)
        except BrokerError as error:
            return Response(error.status, _problem(error))
        return Response(status, msgspec.to_builtins(document))


def _problem(error: BrokerError) -> dict[str, Any]:
    """Return the problem document without its request id."""
    document: dict[str, Any] = msgspec.to_builtins(representations.problem(error, ""))
    del document["requestId"]
    return document


def _has_other_checksum(headers: Mapping[str, str], body: bytes) -> bool:
    signed = {"Content-MD5": hashlib.md5, "x-amz-checksum-sha256": hashlib.sha256}
    return any(
        headers[name] != base64.b64encode(digest(body).digest()).decode()
        for name, digest in signed.items()
        if name in headers
    )


def _result(grant: str, outcome: Confirmation | BrokerError) -> object:
    if isinstance(outcome, BrokerError):
        return {"problem": _problem(outcome)}
    return representations.confirmation(grant, outcome)


Result = tuple[int, object]


class UseCases:
    """The API calls as statuses and documents, without HTTP."""

    def __init__(self, process: Deployment) -> None:
        self._uploads = process.services.uploads
        self._objects = process.services.objects
        self._downloads = process.services.downloads

    async def create(self, who: Principal, files: Sequence[Mapping[str, Any]], key: str | None) -> Result:
        accepted = self._uploads.accept(msgspec.convert(files, list[Declaration]), batch=True)
        made = await self._uploads.create(who, accepted, idempotency_key=key)
        return 201, {"uploads": [representations.created(each) for each in made]}

    async def parts(self, who: Principal, grant: str, numbers: Sequence[int]) -> Result:
        return 200, representations.presigned_parts(self._uploads.presign_parts(who, grant, numbers))

    async def look(self, who: Principal, grant: str) -> Result:
        return 200, representations.progress(grant, await self._uploads.progress(who, grant))

    async def abort(self, who: Principal, grant: str) -> Result:
        await self._uploads.abort(who, grant)
        return 204, {}

    async def confirm(self, who: Principal, grant: str) -> Result:
        document = representations.confirmation(grant, await self._uploads.confirm(who, grant))
        return (202 if isinstance(document, schemas.PromotingUpload) else 200), document

    async def confirm_many(self, who: Principal, grants: Sequence[str]) -> Result:
        outcomes = await self._uploads.confirm_many(who, grants)
        pairs = zip(grants, outcomes, strict=True)
        return 200, {"results": [_result(grant, outcome) for grant, outcome in pairs]}

    async def object(self, who: Principal, key: str) -> Result:
        return 200, representations.ready_object(await self._objects.get(who, key))

    async def head(self, who: Principal, key: str) -> Result:
        return 200, representations.ready_object(await self._objects.get(who, key))

    async def delete(self, who: Principal, key: str) -> Result:
        await self._objects.delete(who, key)
        return 204, {}

    async def delete_many(self, who: Principal, keys: Sequence[str]) -> Result:
        return 200, representations.delete_results(keys, await self._objects.delete_many(who, keys))

    async def link(self, who: Principal, key: str) -> Result:
        return 200, representations.download(await self._downloads.link(who, key, LinkOptions()))
