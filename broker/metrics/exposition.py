"""The metrics in Prometheus's text format, which its library makes at each scrape."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from .families import process_families, request_families, store_families, upload_families
from .instruments import Instruments, ProcessState


class BrokerCollector(Collector):
    """The samples of one process at one moment."""

    def __init__(self, instruments: Instruments, state: ProcessState) -> None:
        self._instruments = instruments
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics. This also starts the next measurement of the event loop's lag."""
        yield from request_families(self._instruments.requests)
        yield from upload_families(self._instruments.uploads)
        yield from store_families(self._instruments.store_calls)
        yield from process_families(self._state, self._instruments.lag.take())


def scrape_response(instruments: Instruments, state: ProcessState) -> Response:
    """Return the response to a scrape, with the library's own metrics of the process (CPU, memory, descriptors)."""
    registry = CollectorRegistry()
    registry.register(BrokerCollector(instruments, state))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
