"""Composition: builds the parts of one deployment from its settings. No other module chooses implementations."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from broker.auth.bearer import TokenVerifier
from broker.core.layout import Layout
from broker.core.model import Evidence
from broker.core.quota import Quota
from broker.crypto.capabilities import Capabilities
from broker.crypto.presigner import Presigner
from broker.crypto.receipts import Receipts
from broker.crypto.sigv4 import Credentials
from broker.crypto.upload_ids import UploadIds
from broker.settings import Settings, StoreSettings
from broker.settings.endpoint import R2_HOST, is_on_this_machine
from broker.store.dialect import UNKNOWN, dialect_of
from broker.store.ended_call import ObserveCall
from broker.store.port import ObjectStore
from broker.store.s3 import S3ObjectStore

from .abandoned_forms import AbandonedForms
from .companion import Companion
from .confirmation import Confirmer
from .deletion import Deletion
from .downloads import Downloads
from .memory_rate_limiter import MemoryRateLimiter
from .multipart import Multiparts
from .objects import Objects
from .observer import Observer
from .promotion import Promotion
from .proxied_uploads import ProxiedUploads
from .rate_limit import RateLimit, RateLimiter, SharedCounts
from .uploads import Uploads


class Observers(NamedTuple):
    """The receivers of events, if there are any: those of the use cases, and each call to the store that has ended."""

    service: Observer | None = None
    store: ObserveCall | None = None


NO_OBSERVERS: Final = Observers()
"""Nothing is reported."""


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases of a deployment that has a store."""

    uploads: Uploads
    objects: Objects
    downloads: Downloads
    proxied_uploads: ProxiedUploads
    rate_limit: RateLimit
    companion: Companion


@dataclass(frozen=True, slots=True)
class Deployment:
    """The parts of one process.

    Without a configured store, ``services`` and ``store`` are ``None``. ``staging_store`` uses the credentials of the
    staging bucket, and is ``None`` if that has no credentials of its own. ``clock`` returns the seconds since the Unix
    epoch. ``address_limiter`` limits the requests of an address, ``shared_counts`` are those in Redis, if configured.
    """

    settings: Settings
    verifier: TokenVerifier
    receipts: Receipts | None
    services: Services | None
    store: ObjectStore | None
    staging_store: ObjectStore | None
    clock: Callable[[], float]
    address_limiter: RateLimiter | None = None
    shared_counts: SharedCounts | None = None

    @property
    def stores(self) -> list[ObjectStore]:
        """The stores to close at the end of the process."""
        return [store for store in (self.store, self.staging_store) if store]

    async def close(self) -> None:
        """End the connections to the stores and to Redis."""
        for store in self.stores:
            await store.close()
        if self.shared_counts:
            await self.shared_counts.close()


def assemble(
    settings: Settings,
    *,
    store: ObjectStore | None = None,
    staging_store: ObjectStore | None = None,
    clock: Callable[[], float] = time.time,
    observers: Observers = NO_OBSERVERS,
) -> Deployment:
    """Return the parts for ``settings``; ``store`` and ``staging_store`` replace the configured ones.

    ``clock`` returns the seconds since the Unix epoch.
    """
    settings = _with_warnings(settings)
    verifier = TokenVerifier(settings.tokens)
    receipts = Receipts(settings.secrets, issuer=settings.issuer) if settings.secrets else None
    shared = _shared_counts(settings.redis_url) if settings.redis_url else None
    by_address = Quota("address", settings.address_rate_limit)
    address_limiter = _limiter(by_address, shared, observers.service)
    services = None
    if settings.store and receipts:
        if store is None:
            store, staging_store = _stores(settings.store, clock, observers.store)
        by_principal = Quota("principal", settings.rate_limit)
        rate_limit = RateLimit(_limiter(by_principal, shared, observers.service))
        services = _services(settings, settings.store, store, receipts, rate_limit, clock, observers.service)
    else:
        store = staging_store = None
    return Deployment(settings, verifier, receipts, services, store, staging_store, clock, address_limiter, shared)


def _shared_counts(url: str) -> SharedCounts:
    """Return the counts in Redis, whose library is imported only here."""
    from .redis_rate_limiter import connect  # noqa: PLC0415  only if it is configured

    return connect(url)


def _limiter(quota: Quota, shared: SharedCounts | None, observer: Observer | None) -> RateLimiter | None:
    """Return what counts for a quota, or ``None`` if it is 0."""
    if not quota.per_minute:
        return None
    return shared.limiter(quota, observer) if shared else MemoryRateLimiter(quota, observer=observer)


def _with_warnings(settings: Settings) -> Settings:
    """Return the settings, with a warning if the kind of the store is unknown: it may be a custom domain."""
    store = settings.store
    if store is None or dialect_of(store.endpoint) is not UNKNOWN or is_on_this_machine(store.endpoint):
        return settings
    warning = (
        "R2_ENDPOINT is not the endpoint of a known store. Presigned URLs do not work on a bucket's custom domain; "
        f"the endpoint of R2 is https://<account-id>.{R2_HOST}"
    )
    return replace(settings, warnings=(*settings.warnings, warning))


def _stores(
    store: StoreSettings, clock: Callable[[], float], observe: ObserveCall | None
) -> tuple[ObjectStore, ObjectStore | None]:
    """Return the store, and the store with the staging bucket's own credentials, if it has any."""
    ready, staging = (
        S3ObjectStore(
            _presigner(store, credentials),
            dialect_of(store.endpoint),
            clock=clock,
            concurrency=store.concurrency,
            observe=observe,
        )
        for credentials in (store.credentials, store.staging_credentials)
    )
    return ready, staging if store.staging_credentials != store.credentials else None


def _presigner(store: StoreSettings, credentials: Credentials) -> Presigner:
    return dialect_of(store.endpoint).presigner(credentials, store.endpoint)


def _services(
    settings: Settings,
    configured: StoreSettings,
    store: ObjectStore,
    receipts: Receipts,
    rate_limit: RateLimit,
    clock: Callable[[], float],
    observer: Observer | None,
) -> Services:
    """Return the use cases with all their collaborators."""
    layout = Layout(configured.bucket, configured.staging_bucket, configured.endpoint, configured.public_url)
    deletion = Deletion(store, layout)
    objects = Objects(store=store, layout=layout, deletion=deletion, clock=clock, observer=observer)
    presigner = _presigner(configured, configured.staging_credentials)
    multiparts = Multiparts(store=store, layout=layout, presigner=presigner, policy=settings.uploads, clock=clock)
    upload_is_evidence = dialect_of(configured.endpoint).checks_uploads and settings.sha256_evidence is Evidence.UPLOAD
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
            observer=observer,
        ),
        presigner=presigner,
        upload_ids=UploadIds(settings.secrets),
        policy=settings.uploads,
        clock=clock,
        observer=observer,
    )
    downloads = Downloads(objects, layout, _presigner(configured, configured.credentials), settings.downloads, clock)
    proxied = ProxiedUploads(store, layout, settings.uploads, AbandonedForms(store, layout.bucket, clock), observer)
    companion = Companion(uploads, Capabilities(settings.secrets), settings.session_lifetime, clock)
    return Services(uploads, objects, downloads, proxied, rate_limit, companion)
