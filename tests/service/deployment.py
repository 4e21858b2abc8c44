"""A deployment's use cases over the store in memory, with a clock that tests set."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from broker import settings
from broker.core.model import ObjectRef, Principal
from broker.core.upload_rules import Declaration
from broker.service.assembly import NO_OBSERVERS, Observers, Services, assemble
from broker.service.confirmation import ConfirmedUpload
from broker.service.uploads import CreatedUpload
from tests.small_files import mp3
from tests.stores.memory import MemoryObjectStore
from tests.web.application import ENVIRONMENT

USER = Principal("user-1")
OTHER = Principal("user-2")
SERVICE = Principal("backend", is_service=True)
MP3 = mp3(100)
DECLARED = Declaration("song.mp3", "audio/mpeg", len(MP3))


@dataclass
class Deployment:
    """Use cases, store and clock. The store's clock advances one second with every change."""

    environment: dict[str, str] = field(default_factory=dict)
    store: MemoryObjectStore = field(
        default_factory=lambda: MemoryObjectStore(clock=itertools.count(1_800_000_000).__next__)
    )
    now: int = 1_800_000_000
    observers: Observers = NO_OBSERVERS

    def __post_init__(self) -> None:
        configured = settings.parse({**ENVIRONMENT, **self.environment})
        assembled = assemble(configured, store=self.store, clock=lambda: self.now, observers=self.observers)
        assert assembled.services
        self.services: Services = assembled.services

    async def create(self, declared: Declaration = DECLARED, principal: Principal = USER) -> CreatedUpload:
        """Create one upload."""
        (created,) = await self.create_many([declared], principal)
        return created

    async def create_many(
        self, declared: Sequence[Declaration], principal: Principal = USER, idempotency_key: str | None = None
    ) -> list[CreatedUpload]:
        """Create several uploads by one request."""
        uploads = self.services.uploads
        accepted = uploads.accept(declared, batch=True)
        return await uploads.create(principal, accepted, idempotency_key=idempotency_key)

    def put(self, created: CreatedUpload, content: bytes = MP3, content_type: str = "audio/mpeg") -> ObjectRef:
        """Store the content as the client's PUT does; return its place."""
        assert created.request
        path = created.request.url.split("?")[0].split("/", 3)[3]
        bucket, _, key = path.partition("/")
        ref = ObjectRef(bucket, key)
        self.store.put(ref, content, content_type=content_type)
        return ref

    async def confirm(self, upload_id: str, principal: Principal = USER) -> ConfirmedUpload:
        """Confirm the upload; return the result."""
        outcome = await self.services.uploads.confirm(principal, upload_id)
        assert isinstance(outcome, ConfirmedUpload)
        return outcome

    async def ready(self, principal: Principal = USER) -> str:
        """Return the key of a new confirmed upload."""
        created = await self.create(principal=principal)
        self.put(created)
        return (await self.confirm(created.upload_id, principal)).track.key
