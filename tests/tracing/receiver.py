"""A receiver of OTLP over HTTP, which decodes the spans that it gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.http_server import serving, url_of


class ReceivedSpan(NamedTuple):
    """One span, with its ids in hexadecimal; ``is_error`` is its status, ``service`` the name of its resource."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool
    seconds: float
    service: str


class Receiver:
    """The received spans, and the bytes of all exports. ``status`` is that of the responses."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.spans: list[ReceivedSpan] = []
        self.written = b""
        self.paths: set[str] = set()

    def receive(self, path: str, body: bytes) -> None:
        """Decode one export."""
        self.paths.add(path)
        self.written += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _attributes(resource.resource)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_received(span, service) for span in scope.spans]

    def named(self, name: str) -> list[ReceivedSpan]:
        """Return the spans with this name."""
        return [span for span in self.spans if span.name == name]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        """Receives an export."""

        def do_POST(self) -> None:
            """Decode the body: ``http.server`` requires this name."""
            found.receive(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            body = ExportTraceServiceResponse().SerializeToString()
            self.send_response(found.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with serving(Handler) as server:
        found.url = url_of(server)
        yield found


def _received(span: Any, service: str) -> ReceivedSpan:
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return ReceivedSpan(span.name, *ids, _attributes(span), span.status.code == 2, seconds, service)


def _attributes(holder: Any) -> dict[str, Any]:
    """Return the attributes of a span or a resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}
