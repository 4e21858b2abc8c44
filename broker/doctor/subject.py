"""The deployment that is examined: the parts that production uses, with the names of probes."""

from dataclasses import dataclass, field, replace

from broker.core.model import Principal
from broker.service.assembly import Deployment, Services
from broker.service.uploads import Uploads
from broker.settings import Settings, StoreSettings
from broker.store.dialect import Dialect, dialect_of
from broker.store.port import ObjectStore

from .probes import ProbeNames, ProbePlace, prefixes
from .wire import Wire

OWNER = Principal("broker-doctor")
"""The owner of all probes."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A deployment that has a store.

    ``staging_wire`` sends requests with the key that signs uploads, ``ready_wire`` with the one that signs downloads.
    """

    settings: Settings
    configured: StoreSettings
    services: Services
    store: ObjectStore
    staging_store: ObjectStore
    staging_wire: Wire
    ready_wire: Wire
    names: ProbeNames = field(default_factory=ProbeNames)

    @property
    def uploads(self) -> Uploads:
        """The use cases of uploads, which name their objects as probes."""
        return replace(self.services.uploads, new_uuid=self.names.uuid)

    @property
    def dialect(self) -> Dialect:
        """The kind of store."""
        return dialect_of(self.configured.endpoint)

    @property
    def has_two_buckets(self) -> bool:
        """Whether staged and ready objects have a bucket each."""
        return self.configured.bucket != self.configured.staging_bucket

    @property
    def has_two_keys(self) -> bool:
        """Whether the key that signs uploads is not the key of the ready objects."""
        return self.configured.credentials != self.configured.staging_credentials

    @property
    def places(self) -> list[ProbePlace]:
        """Where probes may be."""
        staged, ready = prefixes()
        return [
            ProbePlace(self.staging_wire, self.staging_store, self.configured.staging_bucket, staged),
            ProbePlace(self.ready_wire, self.store, self.configured.bucket, ready),
        ]


def subject_of(deployment: Deployment) -> Subject | None:
    """Return the subject of a deployment; ``None`` if it has no store."""
    configured = deployment.settings.store
    if configured is None or deployment.store is None or deployment.services is None:
        return None
    services, clock = deployment.services, deployment.clock
    return Subject(
        deployment.settings,
        configured,
        services,
        deployment.store,
        deployment.staging_store or deployment.store,
        Wire(services.uploads.presigner, clock),
        Wire(services.downloads.presigner, clock),
    )
