"""Traces of one process, which OpenTelemetry's library exports by OTLP over HTTP in a thread of its own.

Rules of this module
- It is imported only if an export is configured.
- Spans wait in a bounded queue (``OTEL_BSP_MAX_QUEUE_SIZE``, 2048). If it is full they are dropped: an export delays no
  request and fails none.
"""

import asyncio
import threading
import time
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from broker.store.ended_call import CallOutcome, EndedCall

DISTRIBUTION: Final = "r2-upload-broker"
"""The name of the broker's package, and of the service unless ``OTEL_SERVICE_NAME`` names another."""

FLUSH_WAIT: Final = 3.0
"""Seconds in which a process that stops exports its last spans."""

_UNNAMED: Final = "unknown_service"


class ExportedTraces:
    """The traces of one process. ``OTEL_*`` variables configure the sampling, the queue and the export."""

    def __init__(self) -> None:
        resource = Resource.create({SERVICE_VERSION: version(DISTRIBUTION)})
        if str(resource.attributes.get(SERVICE_NAME, _UNNAMED)).startswith(_UNNAMED):
            resource = resource.merge(Resource({SERVICE_NAME: DISTRIBUTION}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self._provider.get_tracer(DISTRIBUTION, version(DISTRIBUTION))

    def observe_call(self, call: EndedCall) -> None:
        """Make the span of a call to the store that has ended, below the span of its request."""
        ended_at = time.time_ns()
        attributes: dict[str, str | int] = {
            "rpc.system": "aws-api",
            "rpc.service": "S3",
            "rpc.method": call.operation,
            "aws.s3.bucket": call.bucket,
            "broker.store.outcome": call.outcome.value,
        }
        if call.status:
            attributes["http.response.status_code"] = call.status
        started_at = ended_at - int(call.seconds * 1e9)
        span = self.tracer.start_span(
            f"S3/{call.operation}", kind=SpanKind.CLIENT, attributes=attributes, start_time=started_at
        )
        if call.outcome in (CallOutcome.FAILED, CallOutcome.THROTTLED):
            span.set_attribute("error.type", str(call.status) if call.status else "no_response")
            span.set_status(StatusCode.ERROR)
        span.end(ended_at)

    async def run(self) -> None:
        """Wait to be cancelled, then export the last spans, for ``FLUSH_WAIT`` seconds at most."""
        try:
            await asyncio.Event().wait()
        finally:
            # A thread that the end of the process does not wait for: the library waits up to 30 seconds
            flush = threading.Thread(target=self._provider.shutdown, daemon=True)
            flush.start()
            flush.join(FLUSH_WAIT)
