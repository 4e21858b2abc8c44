"""Traces of an application in this process, as a real receiver of OTLP over HTTP gets them."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from broker import settings
from broker.cli.application import build
from broker.server.log_handler import JsonLogHandler
from broker.tracing import exported_traces
from broker.tracing.trace_requests import TraceRequests
from broker.web import request_record
from tests.http_server import serving, url_of
from tests.metrics.scrapes import named, samples, scrape
from tests.patience import PATIENCE
from tests.ports import free_ports
from tests.store.calls import OBJECT
from tests.stores.memory import MemoryObjectStore
from tests.tracing.receiver import ReceivedSpan, Receiver, receiver
from tests.web.application import ENVIRONMENT, KEY, token

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.fixture
def collector() -> Iterator[Receiver]:
    """Run a receiver."""
    with receiver() as running:
        yield running


@contextmanager
def traced(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, store: Any = None, **environment: str
) -> Iterator[TestClient]:
    """Yield a client of an application whose traces are exported to ``endpoint``; its end exports the last spans."""
    variables = {**ENVIRONMENT, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **environment}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configured = settings.parse(variables)
    with Path(os.devnull).open("wb") as null:
        app = build(configured, JsonLogHandler(null.fileno()), store=store)
        headers = {"Authorization": f"Bearer {token()}"}
        with TestClient(app, headers=headers, raise_server_exceptions=False, follow_redirects=False) as client:
            yield client


def one(spans: list[ReceivedSpan]) -> ReceivedSpan:
    """Return the only one of the spans."""
    (span,) = spans
    return span


def test_request_is_a_span(collector: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is a span of its route's template, in the trace of the client, and without a text of the client."""
    with traced(collector.url, monkeypatch, MemoryObjectStore()) as app:
        response = app.get(f"/api/v1/downloads/{KEY}?filename=canary.mp3", headers=PARENT)
    assert response.status_code == 200
    span = one(collector.spans)
    assert (span.name, span.trace_id, span.parent_id) == ("GET /api/v1/downloads/{key:path}", TRACE, SPAN)
    assert span.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/api/v1/downloads/{key:path}",
        "http.response.status_code": 200,
        "broker.request_id": response.headers["x-request-id"],
    }
    assert (span.is_error, span.service) == (False, "r2-upload-broker")
    assert collector.paths == {"/v1/traces"}
    for hidden in (b"canary", KEY.encode(), b"eyJ", b"Signature", b"user-1"):
        assert hidden not in collector.written


def test_spans_have_the_status(collector: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 5xx is an error; a refused request is not, and neither a path nor a method of a client is a name."""
    store = MemoryObjectStore()
    store.failing.add("head")
    with traced(collector.url, monkeypatch, store) as app:
        app.get(f"/api/v1/objects/{KEY}")
        app.get("/canary")
        app.request("CANARY", "/healthz")
    failed, missing, odd = collector.spans
    assert (failed.name, failed.is_error) == ("GET /api/v1/objects/{key:path}", True)
    assert (failed.attributes["http.response.status_code"], failed.attributes["error.type"]) == (503, "503")
    assert (missing.name, missing.is_error) == ("GET", False)
    assert (missing.attributes["http.response.status_code"], "http.route" in missing.attributes) == (404, False)
    assert (odd.name, odd.attributes["http.request.method"]) == ("HTTP /healthz", "_OTHER")
    assert len({span.trace_id for span in collector.spans}) == 3
    assert b"canary" not in collector.written.lower()


@pytest.mark.parametrize("traceparent", ["", "00-0-0-01", f"00-{'0' * 32}-{SPAN}-01", "canary", "é"])
def test_invalid_traceparent_is_ignored(collector: Receiver, monkeypatch: pytest.MonkeyPatch, traceparent: str) -> None:
    """A request with an invalid traceparent begins a trace of its own."""
    with traced(collector.url, monkeypatch, MemoryObjectStore()) as app:
        assert app.get("/healthz", headers={b"traceparent": traceparent.encode("latin-1")}).status_code == 200
    assert one(collector.spans).parent_id == ""


def test_unsampled_trace_is_not_exported(collector: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that its client does not sample is not exported."""
    with traced(collector.url, monkeypatch, MemoryObjectStore()) as app:
        app.get("/healthz", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert collector.spans == []


def test_service_name_may_be_set(collector: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the service is that of its variable."""
    with traced(collector.url, monkeypatch, MemoryObjectStore(), OTEL_SERVICE_NAME="uploads") as app:
        app.get("/healthz")
    assert one(collector.spans).service == "uploads"


class Store(BaseHTTPRequestHandler):
    """A store with every object, except those whose extension is that of FLAC: for them it is throttled."""

    def do_HEAD(self) -> None:
        """Respond: ``http.server`` requires this name."""
        self.send_response(429 if ".flac" in self.path else 200)
        for name, value in {**OBJECT, "Content-Length": "11", "x-amz-meta-owner": "user-1"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no log."""


def test_store_calls_are_child_spans(collector: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call to the store is a span below that of its request, with the outcome; metrics count it too."""
    port = free_ports(1)
    with serving(Store) as store:
        environment = {"R2_ENDPOINT": url_of(store), "BROKER_METRICS_PORT": str(port)}
        with traced(collector.url, monkeypatch, **environment) as app:
            assert app.get(f"/api/v1/objects/{KEY}").status_code == 200
            assert app.get(f"/api/v1/objects/{KEY.replace('.mp3', '.flac')}").status_code == 503
            counted = samples(scrape(port))
    call, throttled = collector.named("S3/HeadObject")
    request, refused = collector.named("GET /api/v1/objects/{key:path}")
    assert [call.parent_id, throttled.parent_id] == [request.span_id, refused.span_id]
    assert [call.trace_id, throttled.trace_id] == [request.trace_id, refused.trace_id]
    assert call.attributes == {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "HeadObject",
        "aws.s3.bucket": "songs",
        "broker.store.outcome": "ok",
        "http.response.status_code": 200,
    }
    assert (throttled.attributes["broker.store.outcome"], throttled.attributes["error.type"]) == ("throttled", "429")
    assert (call.is_error, throttled.is_error) == (False, True)
    assert 0 < call.seconds < request.seconds
    assert KEY.encode() not in collector.written
    assert counted[named("broker_store_calls_total", operation="HeadObject", outcome="throttled")] == 1


def test_store_without_response_is_an_error(collector: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without a response is an error without a status."""
    with traced(collector.url, monkeypatch, R2_ENDPOINT="http://127.0.0.1:1") as app:
        assert app.get(f"/api/v1/objects/{KEY}").status_code == 503
    call = one(collector.named("S3/HeadObject"))
    assert (call.is_error, call.attributes["error.type"]) == (True, "no_response")
    assert "http.response.status_code" not in call.attributes


@pytest.mark.parametrize("status", [500, 400])
def test_failed_export_disturbs_nothing(collector: Receiver, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Requests are served while the receiver fails, and the end of the process does not wait long for it."""
    monkeypatch.setattr(exported_traces, "FLUSH_WAIT", 0.2)
    collector.status = status
    with traced(
        collector.url, monkeypatch, MemoryObjectStore(), OTEL_BSP_MAX_QUEUE_SIZE="4", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="2"
    ) as app:
        assert {app.get("/healthz").status_code for _ in range(20)} == {200}
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE


async def test_cancelled_request_is_an_error() -> None:
    """A request that ends without a response is an error without a status, and its error is raised."""

    async def cancelled(scope: Scope, _receive: Receive, _send: Send) -> None:
        request_record.start(scope)
        raise asyncio.CancelledError

    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    scope = {"type": "http", "method": "GET", "scheme": "http", "headers": []}
    unused: Any = None
    with pytest.raises(asyncio.CancelledError):
        await TraceRequests(cancelled, provider.get_tracer("tests"))(scope, unused, unused)
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.status.status_code) == ("GET", StatusCode.ERROR)
    assert (span.attributes or {})["error.type"] == "no_response"
