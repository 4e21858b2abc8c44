"""The traces of ``broker serve``, with a real store and a real receiver of OTLP over HTTP."""

from pathlib import Path

from tests.tracing.receiver import receiver

from .processes import Broker, token
from .steps import confirm, mp3, uploaded

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_upload_is_one_trace(tmp_path: Path, environment: dict[str, str]) -> None:
    """The requests of a client and their calls to the store are one trace, which contains no secret."""
    with receiver() as collector:
        configured = {**environment, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with Broker(tmp_path, configured) as broker, broker.client() as client:
            client.headers["traceparent"] = f"00-{TRACE}-{SPAN}-01"
            upload = uploaded(client, mp3())
            assert confirm(client, upload).status_code == 200
    spans = {span.name: span for span in collector.spans if span.trace_id == TRACE}
    created, confirmed = (spans[f"POST /api/v1/uploads{path}"] for path in ("", "/{upload_id}/confirm"))
    assert {created.parent_id, confirmed.parent_id} == {SPAN}
    calls = {span.name: span for span in collector.spans if span.name.startswith("S3/")}
    assert calls.keys() == {"S3/HeadObject", "S3/GetObject", "S3/CopyObject"}
    assert {call.parent_id for call in calls.values()} == {confirmed.span_id}
    bearer = client.headers["Authorization"].removeprefix("Bearer ")
    for hidden in (bearer, token()[:36], upload["uploadId"], upload["url"].partition("?")[2], "incoming/", "user-1"):
        assert hidden.encode() not in collector.written
