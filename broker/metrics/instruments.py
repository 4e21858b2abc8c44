"""All instruments of one process, and its state at the moment of a scrape."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from broker.auth.key_source import FetchedKeys
from broker.service.assembly import Deployment

from .counters import RequestMetrics
from .event_loop_lag import EventLoopLag
from .store_counters import StoreCallMetrics
from .upload_counters import UploadMetrics


@dataclass(frozen=True, slots=True)
class Instruments:
    """The counts of one process, and the lag of its event loop."""

    requests: RequestMetrics = field(default_factory=RequestMetrics)
    uploads: UploadMetrics = field(default_factory=UploadMetrics)
    store_calls: StoreCallMetrics = field(default_factory=StoreCallMetrics)
    lag: EventLoopLag = field(default_factory=EventLoopLag)


class ProcessState(NamedTuple):
    """Measures that are read at a scrape.

    ``clock_skew`` is how many seconds this clock is ahead of the store's, or ``None`` while it is unknown. ``circuits``
    has the bucket of each store, and whether its circuit breaker is open. ``keys`` is ``None`` if no keys are fetched.
    """

    lines_dropped: int = 0
    clock_skew: float | None = None
    circuits: Mapping[str, bool] = {}
    keys: FetchedKeys | None = None


def read_state(deployment: Deployment, lines_dropped: Callable[[], int]) -> ProcessState:
    """Return the state of a process. A store with credentials of its own for the staging bucket has that bucket."""
    configured, store, staging = deployment.settings.store, deployment.store, deployment.staging_store
    circuits = {}
    if configured and store:
        circuits[configured.bucket] = store.is_circuit_open
    if configured and staging:
        circuits[configured.staging_bucket] = staging.is_circuit_open
    skew = store.clock_skew if store else None
    return ProcessState(lines_dropped(), skew, circuits, deployment.verifier.keys.fetched())
