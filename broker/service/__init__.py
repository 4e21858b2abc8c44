"""The use cases, and how a deployment's are put together."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.core.layout import Layout
from broker.core.model import Evidence
from broker.core.object_signer import ObjectSigner
from broker.core.receipts import Receipts
from broker.core.sigv4 import Presigner
from broker.core.tickets import Tickets
from broker.settings import Settings, StoreSettings
from broker.store.dialect import dialect_of
from broker.store.port import ObjectStore

from .allowance import Allowance
from .confirmation import Confirmer
from .deletion import Deletion
from .downloads import Downloads
from .multipart import Multiparts
from .objects import Objects
from .promotion import Promotion
from .uploads import Uploads


@dataclass(frozen=True, slots=True)
class Services:
    """What a broker with a store can do."""

    uploads: Uploads
    objects: Objects
    downloads: Downloads
    allowance: Allowance


def build(
    settings: Settings,
    place: StoreSettings,
    store: ObjectStore,
    receipts: Receipts,
    clock: Callable[[], float],
) -> Services:
    """The use cases of one deployment over ``store``."""
    layout = Layout(place.bucket, place.staging_bucket, place.endpoint, place.public_url)
    deletion = Deletion(store, layout)
    objects = Objects(store=store, layout=layout, deletion=deletion, clock=clock)
    presigner = Presigner(place.staging_credentials, place.endpoint)
    multiparts = Multiparts(store=store, layout=layout, presigner=presigner, policy=settings.uploads, clock=clock)
    upload_is_evidence = dialect_of(place.endpoint).checks_uploads and settings.sha256_evidence is Evidence.UPLOAD
    uploads = Uploads(
        store=store,
        layout=layout,
        multiparts=multiparts,
        deletion=deletion,
        confirmer=Confirmer(
            store=store,
            layout=layout,
            multiparts=multiparts,
            promotion=Promotion(store),
            receipts=receipts,
            upload_is_evidence=upload_is_evidence,
            clock=clock,
        ),
        signer=ObjectSigner(presigner, "PUT", place.staging_bucket),
        tickets=Tickets(settings.secrets),
        policy=settings.uploads,
        clock=clock,
    )
    downloads = Downloads(
        objects=objects,
        signer=ObjectSigner(Presigner(place.credentials, place.endpoint), "GET", place.bucket),
        policy=settings.downloads,
        clock=clock,
    )
    return Services(uploads, objects, downloads, Allowance(settings.rate_limit))


__all__ = ["Services", "build"]
