"""The use cases, and how a deployment's are put together."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.core.layout import Layout
from broker.core.object_signer import ObjectSigner
from broker.core.receipts import Receipts
from broker.core.sigv4 import Presigner
from broker.core.tickets import Tickets
from broker.settings import Settings, StoreSettings
from broker.store.port import ObjectStore

from .allowance import Allowance
from .confirmation import Confirmer
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
    objects = Objects(store=store, layout=layout)
    presigner = Presigner(place.staging_credentials, place.endpoint)
    multiparts = Multiparts(store=store, layout=layout, presigner=presigner, policy=settings.uploads, clock=clock)
    promotion = Promotion(store)
    uploads = Uploads(
        store=store,
        layout=layout,
        multiparts=multiparts,
        promotion=promotion,
        confirmer=Confirmer(
            store=store, layout=layout, multiparts=multiparts, promotion=promotion, receipts=receipts, clock=clock
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
